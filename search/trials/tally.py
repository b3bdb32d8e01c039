"""What is told of a study's trials as a whole, without looking at all of them each time."""

from __future__ import annotations

import math
from bisect import insort
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from typing import TypeAlias

from search.trials.record import Record, State, best_record

ENDED: tuple[State, ...] = ("completed", "stopped", "failed")
_LATEST = 8
Place: TypeAlias = tuple[float, str]
"""A score with its sign turned, and the trial's id: they sort as trials rank."""


class Tally:
    """Trials that ended are summed up once; `open` are the others, by id, and `latest` the last few
    that ended, in order.

    `maxima` are the completed trials whose last score was higher than all before: how many epochs
    the trials that ended until then had trained, theirs included, and the score.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.open: dict[str, Record] = {}
        self.latest: deque[Record] = deque(maxlen=_LATEST)
        self._ended: Counter[State] = Counter()
        self._best: Record | None = None
        self.maxima: list[tuple[float, float]] = []
        self.ended_epochs = 0.0
        """How many epochs the trials that have ended have trained."""
        self._scored: defaultdict[float, list[Place]] = defaultdict(list)  # by those that ended
        for record in sorted(records, key=_when_ended):
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
        self.ended_epochs += record.epoch
        for epoch, place in _places(record).items():
            insort(self._scored[epoch], place)
        highest = self.maxima[-1][1] if self.maxima else -math.inf
        score = record.last_score
        if record.state == "completed" and score is not None and score > highest:
            self.maxima.append((self.ended_epochs, score))

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
        """How many epochs all trials together have trained."""
        return self.ended_epochs + sum(record.epoch for record in self.open.values())

    def reached(self, epoch: float) -> list[Place]:
        """The trials that were measured at an epoch, the best there first."""
        places = (_places(record).get(epoch) for record in self.open.values())
        return sorted([*self._scored.get(epoch, ()), *(place for place in places if place)])

    @property
    def best(self) -> Record | None:
        """See `search.trials.record.best_record`."""
        known = [] if self._best is None else [self._best]
        return best_record([*known, *self.open.values()])


def _places(record: Record) -> dict[float, Place]:
    """Its scores by epoch, without undefined ones, which have no place."""
    scored = record.scores.items()
    return {epoch: (-score, record.id) for epoch, score in scored if not math.isnan(score)}


def _when_ended(record: Record) -> float:
    return math.inf if record.ended is None else record.ended
