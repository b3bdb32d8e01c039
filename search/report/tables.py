"""A study's trials and effects as tables for a terminal, of 80 columns if it has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search.analysis.factor_effect import FactorEffect, Level
from search.text.terminal import AtLeast, Fitting
from search.text.words import epoch_text, score_text, value_text
from search.trials.record import Record, best_record, ranked
from spaces import Simplex, Space, Value

_ASCII_HEAD = box.Box(str(box.SIMPLE_HEAD).replace("─", "-"), ascii=True)
_CONFIGURATION = 20  # columns without which a configuration is not shown
_SAID = 24  # columns without which what is said of a factor is not beside its levels
_LABEL = 12  # and a level's label at least
_STYLES = {"completed": "", "running": "cyan", "paused": "yellow"} | {
    "waiting": "dim",
    "stopped": "dim",
    "failed": "red",
}
_VERDICTS = {"clear": "green", "noise": "dim", "unknown": "dim", "too few trials": "dim"}


def trials_table(
    records: Sequence[Record], space: Space, limit: int | None = None
) -> RenderableType:
    """The trials, best first: see `search.trials.record.standing`. Where there is no room beside
    the
    numbers, without their configurations.

    Args:
        limit: show at most so many and say how many are left out; None for all.
    """
    shown = ranked(records)[:limit]
    left_out = len(records) - len(shown)

    def made(
        columns: Callable[[RenderableType], int], width: int, ascii_only: bool
    ) -> RenderableType:
        numbers = _trials(shown, None, ascii_only)
        needed = columns(numbers)
        words = (len(w) for record in shown for w in _configuration(record, space).plain.split())
        room = max((_CONFIGURATION, *words)) + 2
        table = _trials(shown, space, ascii_only) if width >= needed + room else numbers
        notes = [f"{left_out} more not shown"] if left_out else []
        if table is numbers and any(record.values or record.failure for record in shown):
            notes.append("too narrow for configurations")
        told = Text("; ".join(notes), style="italic dim")
        return Group(AtLeast(table, needed), *([told] if notes else []))

    return Fitting(made)


def _trials(records: Sequence[Record], space: Space | None, ascii_only: bool) -> Table:
    table = _table(ascii_only)
    table.add_column("trial", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("epoch", "last", "best"):
        table.add_column(name, justify="right", no_wrap=True)
    if space is not None:
        table.add_column("configuration", overflow="fold")
    for record in records:
        table.add_row(
            record.id,
            record.state,
            epoch_text(record.epoch) if record.epoch else "",
            score_text(record.last_score),
            score_text(record.best_score),
            *([] if space is None else [_told(record, space)]),
            style=_STYLES[record.state],
        )
    return table


def _table(ascii_only: bool) -> Table:
    head = _ASCII_HEAD if ascii_only else box.SIMPLE_HEAD
    return Table(box=head, collapse_padding=True, pad_edge=False)


def effects_table(effects: Sequence[FactorEffect]) -> RenderableType:
    """What can be said of each factor, and each level's mean with its standard error: beside each
    other, or where there is no room, below each other."""

    def made(
        columns: Callable[[RenderableType], int], width: int, ascii_only: bool
    ) -> RenderableType:
        table = _table(ascii_only)
        table.show_lines = True
        table.add_column("factor", overflow="fold", min_width=_SAID)
        _add_level_columns(table, ascii_only)
        narrowest = _table(ascii_only)
        narrowest.add_column(" " * _SAID)
        _add_level_columns(narrowest, ascii_only)
        for effect in effects:
            cells = _level_cells(effect.levels, ascii_only)
            joined = [Text("\n").join(map(Text, cell)) for cell in zip(*cells, strict=True)]
            joined = joined or [Text("")] * 3
            table.add_row(_said(effect), *joined)
            narrowest.add_row("", *joined)
        if columns(narrowest) <= width:
            return table
        return Group(*(_below(effect, columns, ascii_only) for effect in effects))

    return Fitting(made)


def _below(
    effect: FactorEffect, columns: Callable[[RenderableType], int], ascii_only: bool
) -> RenderableType:
    """A factor's heading, and its levels below."""

    def levels(labels: bool) -> Table:
        table = Table(box=None, pad_edge=False)
        if labels:
            table.add_column("level", overflow="fold", min_width=_LABEL)
        else:
            table.add_column(" " * _LABEL, no_wrap=True)
        table.add_column("trials", justify="right", no_wrap=True)
        table.add_column(_mean_heading(ascii_only), no_wrap=True)
        for label, *numbers in _level_cells(effect.levels, ascii_only):
            table.add_row(Text(label if labels else ""), *map(Text, numbers))
        return table

    return Group(_said(effect), AtLeast(levels(True), columns(levels(False))), Text())


def _said(effect: FactorEffect) -> Text:
    said = Text(effect.factor, style="bold")
    said.append(f"\n{effect.describe()}", style=f"not bold {_VERDICTS[effect.verdict]}")
    return said


def _add_level_columns(table: Table, ascii_only: bool) -> None:
    table.add_column("level", no_wrap=True, max_width=26)
    table.add_column("trials", justify="right", no_wrap=True)
    table.add_column(_mean_heading(ascii_only), no_wrap=True)


def _mean_heading(ascii_only: bool) -> str:
    return f"mean {_plus_minus(ascii_only)} s.e."


def _plus_minus(ascii_only: bool) -> str:
    return "+-" if ascii_only else "±"


def _level_cells(levels: Sequence[Level], ascii_only: bool) -> list[tuple[str, str, str]]:
    """Of each level its label, how many trials it has, and their mean."""
    return [(level.label, str(level.count), _mean(level, ascii_only)) for level in levels]


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


def columns(space: Space) -> list[str]:
    """The names of the columns: one for each free factor, and for a simplex one for each component,
    `name.component`."""
    return [column for name in space.free for column in _components(name, space)]


def cells(values: Mapping[str, Value], space: Space) -> dict[str, Value]:
    """A trial's values by column; an inactive factor has none."""
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
    return Text(" ".join(values))


def _told(record: Record, space: Space) -> Text:
    text = _configuration(record, space)
    if record.failure:
        text.append(f"\n{record.failure}", style="bold")
    return text


def _mean(level: Level, ascii_only: bool) -> str:
    if level.standard_error is None:
        return score_text(level.mean)
    return f"{score_text(level.mean)} {_plus_minus(ascii_only)} {level.standard_error:.3f}"
