"""What a user sees while a search runs: a live table on a terminal, else a line now and then."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from ray.tune import Callback
from rich.console import Group, OverflowMethod, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.driver.unsaved import Unsaved
from search.forecast.pace import Pace
from search.ledger.agenda import Agenda
from search.text.terminal import Fitting, tell, terminal
from search.text.words import counted, duration, epoch_text, value_text
from search.trials.record import Record, State
from search.trials.tally import Tally
from spaces import Value

_SECONDS_BETWEEN_LINES = 30.0
_SECONDS_BETWEEN_PREDICTIONS = 5.0
_ROWS = 8
_CONFIGURATION = 12  # columns without which a configuration is not shown
_COLUMNS = ("trial", "state", "epoch", "score")
_FEWER = (("trial", "epoch", "score"), ("trial", "score"), ("score",))
_STYLES: dict[State, str] = {
    "running": "cyan",
    "paused": "yellow",
    "completed": "green",
    "stopped": "dim",
    "failed": "red",
}


class Progress:
    """Counts, the best trial and the expected end, from an agenda's tally."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._started = time.monotonic()
        self._pace = Pace(agenda.study, agenda.folder)
        self._predicted: float | None = None  # seconds left when it was predicted
        self._predicted_at = -math.inf
        self.waits_for: Callable[[], str | None] = lambda: None
        """Why no trial runs, in few words, where that is known."""

    @property
    def tally(self) -> Tally:
        return self._agenda.tally

    @property
    def full(self) -> int:
        """How many epochs all the study's trials would train if none was stopped."""
        return self._agenda.trials * self._agenda.study.epochs

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def seconds_left(self) -> float | None:
        """The seconds that are left, None before anything was measured. They are predicted every
        few seconds and count down in between."""
        agenda, now = self._agenda, time.monotonic()
        if now - self._predicted_at >= _SECONDS_BETWEEN_PREDICTIONS:
            self._pace.take_up([*self.tally.open.values(), *self.tally.latest])
            found = self._pace.forecast(self.tally, agenda.meter.spent)
            self._predicted = None if found is None else found.seconds
            self._predicted_at = now
        if self._predicted is None:
            return None
        return max(0.0, self._predicted - (now - self._predicted_at))

    def summary(self) -> str:
        """One line that tells the trials by state, the epochs, the best trial and the time left."""
        counts = self.tally.counts
        states = ", ".join(f"{counts[state]} {state}" for state in _STYLES if counts[state])
        doing = states or self.waits_for() or "starting"
        parts = [f"{self.tally.ended}/{counted(self._agenda.trials, 'trial')} ({doing})"]
        parts.append(f"{epoch_text(self.tally.epochs)} of {counted(self.full, 'epoch')}")
        best = self.tally.best
        if best is not None and best.last_score is not None:
            parts.append(
                f"best {best.last_score:.3f} (trial {best.id}, epoch {epoch_text(best.epoch)})"
            )
        left = self.seconds_left()
        if left is not None:
            parts.append(f"about {duration(left)} left")
        return "; ".join(parts)


class LiveView(Unsaved, Callback):  # type: ignore[misc]
    """Tune's callback that draws. It only looks: a search without it is the same search."""

    def __init__(self, agenda: Agenda, quiet: bool = False) -> None:
        self._agenda, self._quiet = agenda, quiet
        self._progress = Progress(agenda)
        self._console = terminal(stderr=True)
        self._live: Live | None = None
        self._last_line = 0.0

    def start(self, waits_for: Callable[[], str | None] = lambda: None) -> None:
        """Begin to draw. `waits_for` says in few words why no trial runs, where that is known."""
        self._progress.waits_for = waits_for
        # A dumb terminal, and what only claims to be one, gets lines.
        if self._console.is_interactive and not self._quiet:
            self._live = Live(
                self._draw(), console=self._console, refresh_per_second=4, transient=True
            )
            self._live.start()

    def stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, text: str) -> None:
        """Print a line, above the table where there is one."""
        if self._live is not None:
            tell(self._console, text, whole=True)
        else:
            print(text, file=sys.stderr, flush=True)

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
        progress, tally = self._progress, self._agenda.tally
        counts, done = tally.counts, tally.ended
        shown = [state for state in _STYLES if state != "paused" or counts[state]]
        head = Text.assemble(
            (self._agenda.study.name, "bold"),
            f"  {done}/{counted(self._agenda.trials, 'trial')}  ",
            *[(f"{counts[state]} {state}  ", _STYLES[state]) for state in shown],
        )
        left = progress.seconds_left()
        ends = f"about {duration(left)} left" if left is not None else "measuring"
        ends = progress.waits_for() or ends
        spent = Text(
            f"{counted(tally.epochs, 'epoch')}; {progress.full} without stopping; "
            f"{duration(progress.seconds)} so far, {ends}"
        )
        # The padding of nothing ends the bar's line, which it does not do itself.
        bar = Padding(ProgressBar(total=self._agenda.trials, completed=done, width=None), 0)
        return Group(head, bar, spent, _table(self._agenda))


def _table(agenda: Agenda) -> RenderableType:
    """The best trial, what runs, and the last ones that ended. With less room first the
    configurations go, then the states, then the epochs."""
    best = agenda.tally.best
    running = [r for r in agenda.tally.open.values() if r.state == "running"]
    rows: list[Record] = []
    for record in (best, *running, *reversed(agenda.tally.latest)):
        if record is not None and record not in rows:
            rows.append(record)

    def made(
        columns: Callable[[RenderableType], int], width: int, ascii_only: bool
    ) -> RenderableType:
        numbers = _rows(agenda, rows[:_ROWS], _COLUMNS)
        if columns(numbers) + _CONFIGURATION <= width:
            cut: OverflowMethod = "crop" if ascii_only else "ellipsis"
            return _rows(agenda, rows[:_ROWS], _COLUMNS, cut)
        narrower = (numbers, *(_rows(agenda, rows[:_ROWS], few) for few in _FEWER))
        return next((table for table in narrower if columns(table) <= width), narrower[-1])

    return Fitting(made)


def _rows(
    agenda: Agenda,
    rows: Sequence[Record],
    shown: Sequence[str],
    configuration: OverflowMethod | None = None,
) -> Table:
    """A table of some columns, and where there is room also the configurations, cut so."""
    best = agenda.tally.best
    table = Table(box=None, pad_edge=False, expand=configuration is not None)
    for column in shown:
        table.add_column(
            agenda.study.search.objective if column == "score" else column, no_wrap=True
        )
    if configuration:
        table.add_column("configuration", no_wrap=True, overflow=configuration, ratio=1)
    for row in rows:
        cells = {
            "trial": row.id,
            "state": "best" if row is best else row.state,
            "epoch": f"{epoch_text(row.epoch)}/{agenda.study.epochs}",
            "score": "" if row.last_score is None else f"{row.last_score:.3f}",
        }
        values = " ".join(short(name, value) for name, value in row.values.items())
        style = "bold" if row is best else _STYLES.get(row.state, "")
        told = [Text(cells[column]) for column in shown]
        table.add_row(*told, *([Text(values)] if configuration else []), style=style)
    return table


def short(name: str, value: Value) -> str:
    """A factor's value in few characters; what is on or off as `jaccard` and `!jaccard`."""
    if isinstance(value, bool):
        return name if value else f"!{name}"
    return value_text(value).replace(" ", "-")
