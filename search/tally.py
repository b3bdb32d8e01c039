"""What is told of a study's trials as a whole, without looking at all of them each time."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from search.records import Record, State, best_record

ENDED: tuple[State, ...] = ("completed", "stopped", "failed")
_LATEST = 8


class Tally:
    """Trials that ended are summed up once; `open` are the others, by id, and `latest`
    the last few that ended, in order."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.open: dict[str, Record] = {}
        self.latest: deque[Record] = deque(maxlen=_LATEST)
        self._ended: Counter[State] = Counter()
        self._best: Record | None = None
        self._epochs = 0.0
        # Of the trials that ran from beginning to end and measured something:
        self._timed_trials, self._timed_epochs, self._timed_seconds = 0, 0.0, 0.0
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Take up a trial that is new, or one that has ended."""
        if record.state not in ENDED:
            self.open[record.id] = record
            return
        self.open.pop(record.id, None)
        self.latest.append(record)
        self._ended[record.state] += 1
        self._best = best_record([record] if self._best is None else [self._best, record])
        self._epochs += record.epoch
        if record.started is not None and record.ended is not None and record.epoch:
            self._timed_trials += 1
            self._timed_epochs += record.epoch
            self._timed_seconds += record.ended - record.started

    @property
    def counts(self) -> Counter[State]:
        """How many trials are in each state."""
        return self._ended + Counter(record.state for record in self.open.values())

    @property
    def ended(self) -> int:
        """How many trials have ended."""
        return self._ended.total()

    @property
    def epochs(self) -> float:
        """All that were trained."""
        return self._epochs + sum(record.epoch for record in self.open.values())

    @property
    def best(self) -> Record | None:
        """See `search.records.best_record`."""
        known = [] if self._best is None else [self._best]
        return best_record([*known, *self.open.values()])

    def seconds_left(self, trials: int, epochs: int) -> float | None:
        """Until `trials` trials of at most `epochs` epochs have ended, None before any has.

        Trials side by side are taken for one worker each, all trials to come for the mean of those
        that ended, and one that was begun for what that mean leaves of it.
        """
        if not self._timed_trials:
            return None
        mean_epochs = self._timed_epochs / self._timed_trials
        left = sum(max(mean_epochs - record.epoch, 0.5) for record in self.open.values())
        left += mean_epochs * max(trials - self.ended - len(self.open), 0)
        running = self.counts["running"]
        return left * self._timed_seconds / self._timed_epochs / max(running, 1)
