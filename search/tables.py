"""A study's trials and effects as tables for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from search.clock import epoch_text
from search.effects import FactorEffect, Level, level_label
from search.records import Record, best_record
from spaces import Simplex, Space, Value

_STYLES = {"completed": "", "running": "cyan", "paused": "yellow"} | {
    "waiting": "dim",
    "stopped": "dim",
    "failed": "red",
}
_VERDICTS = {"clear": "green", "noise": "dim", "unknown": "dim", "too few trials": "dim"}


def trials_table(records: Sequence[Record], space: Space, limit: int | None = None) -> Table:
    """The trials, best first: completed ones by last score, then those that got furthest.

    Args:
        limit: show at most so many and say how many are left out; None for all.
    """
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("trial", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("epoch", "last", "best"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("configuration", overflow="fold")
    for record in ranked(records)[:limit]:
        table.add_row(
            record.id,
            record.state,
            epoch_text(record.epoch) if record.epoch else "",
            score_text(record.last_score),
            score_text(record.best_score),
            _configuration(record, space),
            style=_STYLES[record.state],
        )
    left_out = len(records) - table.row_count
    if left_out:
        table.caption = f"{left_out} more not shown"
    return table


def ranked(records: Sequence[Record]) -> list[Record]:
    """Completed trials by last score, then the others, of which only equals are compared:
    by how far they got, and by score among those that got equally far."""
    return sorted(
        records,
        key=lambda record: (
            record.state != "completed",
            record.state == "failed",
            0 if record.state == "completed" else -record.epoch,
            -(record.last_score or 0.0),
        ),
    )


def effects_table(effects: Sequence[FactorEffect]) -> Table:
    """One row a factor: what can be said, and each level's mean with its standard error."""
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False, show_lines=True)
    table.add_column("factor", overflow="fold", min_width=24)
    table.add_column("level", no_wrap=True, max_width=26)
    table.add_column("trials", justify="right", no_wrap=True)
    table.add_column("mean ± s.e.", no_wrap=True)
    for effect in effects:
        said = Text(effect.factor, style="bold")
        said.append(f"\n{effect.describe()}", style=f"not bold {_VERDICTS[effect.verdict]}")
        table.add_row(
            said,
            Text("\n".join(level.label for level in effect.levels)),
            "\n".join(str(level.count) for level in effect.levels),
            "\n".join(_mean(level) for level in effect.levels),
        )
    return table


def best_lines(records: Sequence[Record], space: Space) -> list[str]:
    """The best trial in a few lines of at most 80 columns (long values aside); says so where
    there is none."""
    best = best_record(records)
    if best is None:
        return ["No trial has a score yet."]
    config = space.config(best.values)
    so_far = "" if best.state == "completed" else " (none has completed yet)"
    lines = [
        f"Best: trial {best.id}{so_far}",
        f"  score {score_text(best.last_score)} after epoch {epoch_text(best.epoch)} of "
        f"{config.epochs}, seed {config.seed}",
    ]
    if best.best_epoch is not None and best.best_score != best.last_score:
        epoch = epoch_text(best.best_epoch)
        lines.append(f"  its best epoch: {epoch}, score {score_text(best.best_score)}")
    width = max(map(len, space.free), default=0)
    lines += [
        f"  {name:<{width}}  {value_text(best.values[name])}"
        for name in space.free
        if name in best.values
    ]
    return lines


def score_text(score: float | None) -> str:
    """With three decimals, as the report's table has them; empty for none."""
    return "" if score is None else f"{score:.3f}"


def value_text(value: Value) -> str:
    """A value for people: three significant digits, weights as `0.50/0.25/0.25`."""
    if isinstance(value, tuple):
        return "/".join(f"{part:.2f}" if isinstance(part, float) else str(part) for part in value)
    return f"{value:.3g}" if isinstance(value, float) else level_label(value)


def columns(space: Space) -> list[str]:
    """One column a free factor, of a simplex one a component: `name.component`."""
    return [column for name in space.free for column in _components(name, space)]


def cells(values: Mapping[str, Value], space: Space) -> dict[str, Value]:
    """The values by column; an inactive factor has none."""
    found: dict[str, Value] = {}
    for name, value in values.items():
        names = _components(name, space)
        parts = value if isinstance(space.free[name], Simplex) else (value,)
        found |= zip(names, parts, strict=True)
    return found


def _components(name: str, space: Space) -> list[str]:
    domain = space.free[name]
    if isinstance(domain, Simplex):
        return [f"{name}.{component}" for component in domain.names]
    return [name]


def _configuration(record: Record, space: Space) -> Text:
    values = [f"{n}={value_text(record.values[n])}" for n in space.free if n in record.values]
    text = Text(" ".join(values))
    if record.failure:
        text.append(f"\n{record.failure}", style="bold")
    return text


def _mean(level: Level) -> str:
    if level.standard_error is None:
        return score_text(level.mean)
    return f"{score_text(level.mean)} ± {level.standard_error:.3f}"


def duration(seconds: float) -> str:
    """Seconds as "0.45 s", "45 s", "12 min" or "3.4 h"."""
    if 0 < seconds < 1:
        return f"{seconds:.2g} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
