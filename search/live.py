"""What a user sees while a search runs: a live table on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ray.tune import Callback
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.ledger import Ledger
from search.records import Record, State, best_record
from search.tables import value_text
from search.tune_adapters import Unsaved
from spaces import Value

_SECONDS_BETWEEN_LINES = 30.0
_ROWS = 8
_ENDED: tuple[State, ...] = ("completed", "stopped", "failed")
_STYLES: dict[State, str] = {
    "running": "cyan",
    "completed": "green",
    "stopped": "dim",
    "failed": "red",
}


class Progress:
    """Counts, the best trial and the expected end, from the ledger's records."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._started = time.monotonic()

    @property
    def records(self) -> Sequence[Record]:
        return list(self._ledger.records.values())

    @property
    def epochs(self) -> int:
        return sum(record.epoch for record in self.records)

    @property
    def full(self) -> int:
        """The epochs of all the study's trials without stopping."""
        return self._ledger.trials * self._ledger.study.epochs

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def seconds_left(self) -> float | None:
        return time_left(self.records, self._ledger.trials, self._ledger.study.epochs)

    def summary(self) -> str:
        """One line: trials by state, epochs, best, time left."""
        counts = Counter(record.state for record in self.records)
        states = ", ".join(f"{counts[state]} {state}" for state in _STYLES if counts[state])
        done = sum(counts[state] for state in _ENDED)
        parts = [f"{done}/{self._ledger.trials} trials ({states or 'starting'})"]
        parts.append(f"{self.epochs} of {self.full} epochs")
        best = best_record(self.records)
        if best is not None and best.last_score is not None:
            parts.append(f"best {best.last_score:.3f} (trial {best.id}, epoch {best.epoch})")
        left = self.seconds_left()
        if left is not None:
            parts.append(f"about {duration(left)} left")
        return "; ".join(parts)


class LiveView(Unsaved, Callback):  # type: ignore[misc]
    """Tune's callback that draws; it reads the ledger and keeps nothing."""

    def __init__(self, ledger: Ledger, quiet: bool = False) -> None:
        self._ledger, self._quiet = ledger, quiet
        self._progress = Progress(ledger)
        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._last_line = 0.0

    def start(self) -> None:
        if self._console.is_terminal and not self._quiet:
            self._live = Live(
                self._draw(), console=self._console, refresh_per_second=4, transient=True
            )
            self._live.start()

    def stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._ledger.start(trial.config["id"])

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        now = time.monotonic()
        if self._live is not None:
            if now - self._last_line >= 0.25:
                self._last_line = now
                self._live.update(self._draw())
        elif not self._quiet and now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            print(self._progress.summary(), file=sys.stderr, flush=True)

    def _draw(self) -> RenderableType:
        progress = self._progress
        counts = Counter(record.state for record in progress.records)
        done = sum(counts[state] for state in _ENDED)
        head = Text.assemble(
            (self._ledger.study.name, "bold"),
            f"  {done}/{self._ledger.trials} trials  ",
            *[(f"{counts[state]} {state}  ", _STYLES[state]) for state in _STYLES],
        )
        left = progress.seconds_left()
        ends = f"about {duration(left)} left" if left is not None else "measuring"
        spent = Text(
            f"{progress.epochs} epochs; {progress.full} without stopping; "
            f"{duration(progress.seconds)} so far, {ends}"
        )
        # The padding of nothing ends the bar's line, which it does not do itself.
        bar = Padding(ProgressBar(total=self._ledger.trials, completed=done, width=None), 0)
        return Group(head, bar, spent, _table(self._ledger, progress.records))


def _table(ledger: Ledger, records: Sequence[Record]) -> Table:
    """The best trial, what runs, and the last ones that ended."""
    best = best_record(records)
    running = [r for r in records if r.state == "running"]
    ended = sorted((r for r in records if r.ended), key=lambda r: r.ended or 0, reverse=True)
    rows: list[Record] = []
    for record in (best, *running, *ended):
        if record is not None and record not in rows:
            rows.append(record)
    table = Table(box=None, pad_edge=False, expand=True)
    for column in ("trial", "state", "epoch", ledger.objective):
        table.add_column(column, no_wrap=True)
    table.add_column("configuration", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows[:_ROWS]:
        score = "" if row.last_score is None else f"{row.last_score:.3f}"
        style = "bold" if row is best else _STYLES.get(row.state, "")
        name = "best" if row is best else row.state
        values = " ".join(short(name, value) for name, value in row.values.items())
        epoch = f"{row.epoch}/{ledger.study.epochs}"
        table.add_row(row.id, name, epoch, score, values, style=style)
    return table


def time_left(records: Sequence[Record], trials: int, epochs: int) -> float | None:
    """Seconds until `trials` trials have ended, None before any has.

    Trials side by side are taken for one worker each, all trials to come for the mean of those
    that ended, and one that was begun for what that mean leaves of it.
    """
    ended = [r for r in records if r.started is not None and r.ended is not None and r.epoch]
    if not ended:
        return None
    mean_epochs = sum(record.epoch for record in ended) / len(ended)
    seconds = sum((r.ended or 0.0) - (r.started or 0.0) for r in ended)
    begun = [record for record in records if record.state in ("running", "waiting")]
    running = [record for record in begun if record.state == "running"]
    left = sum(max(mean_epochs - record.epoch, 0.5) for record in begun)
    left += mean_epochs * max(trials - len(records), 0)
    return left * seconds / sum(r.epoch for r in ended) / max(len(running), 1)


def short(name: str, value: Value) -> str:
    """A factor's value in few characters; what is on or off as `jaccard` and `!jaccard`."""
    if isinstance(value, bool):
        return name if value else f"!{name}"
    return value_text(value).replace(" ", "-")


def duration(seconds: float) -> str:
    """Seconds as "45 s", "12 min" or "3.4 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
