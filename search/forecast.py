"""How long a study, or the rest of one, will take: it is simulated, many times.

Trials are handed to the workers as they come free, each takes its course, and at each rung it goes
on or is stopped by the rule of the search itself. What is not known is drawn: the configurations,
and how good each is. Scores count by their rank alone; that of a trial is much the same from rung
to rung, but for a little noise. Early stopping by a trial itself, `search.patience`, failures, and
what the sampler learns to prefer are left out.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from search.costs import Course
from search.rungs import Rungs

_NOISE = 0.1  # of a trial's rank among all, from one rung to the next
_TRIALS = 400  # more are not simulated but taken for more of the same


@dataclass(frozen=True)
class Begun:
    """A trial that is not at its end: where it was reported last, and how many seconds ago; 0 for
    one that waits for a worker."""

    course: Course
    epoch: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Ahead:
    """What is left of a study."""

    slots: int
    """Trials side by side."""
    trials: int
    """That have not been handed out yet."""
    epochs: int
    """The full budget of a trial."""
    levels: Sequence[float] = ()
    """The rungs, lowest first."""
    reduction_factor: int = 3
    begun: Sequence[Begun] = ()
    arrived: Mapping[float, int] = field(default_factory=dict)
    """How many trials have reached each rung."""
    seconds: float = math.inf
    """After these no trial starts."""
    total_epochs: float = math.inf
    """Once so many more epochs were trained, no trial starts."""


@dataclass(frozen=True)
class Forecast:
    """Seconds until the last trial ends: the middle of the simulations, and what nine of ten are
    between; and of the middle one the epochs that are trained and the trials that are started."""

    seconds: float
    low: float
    high: float
    epochs: float
    trials: float


def forecast(
    ahead: Ahead, draw: Callable[[Random], Course], repetitions: int = 30, seed: int = 0
) -> Forecast:
    """Simulate; `draw` gives the course of a trial to come."""
    ends = sorted(_simulate(ahead, draw, Random(seed + n)) for n in range(repetitions))
    seconds, epochs, trials = ends[repetitions // 2]
    low, high = (ends[round(share * (repetitions - 1))][0] for share in (0.05, 0.95))
    return Forecast(seconds, low, high, epochs, trials)


def _simulate(
    ahead: Ahead, draw: Callable[[Random], Course], random: Random
) -> tuple[float, float, float]:
    """Seconds, epochs, trials started."""
    study = _Simulation(ahead, draw, random)
    most = max(_TRIALS, 4 * ahead.slots)
    return study.run(min(ahead.trials, most), max(0, ahead.trials - most))


class _Simulation:
    def __init__(self, ahead: Ahead, draw: Callable[[Random], Course], random: Random) -> None:
        self._ahead, self._draw, self._random = ahead, draw, random
        self._rungs = Rungs(tuple(ahead.levels), ahead.reduction_factor)
        for number, level in enumerate(ahead.levels):
            arrived = ahead.arrived.get(level, 0)
            for place in range(arrived):
                rank = self._rank(number, (place + 0.5) / arrived)
                self._rungs.record(f"arrived {place}", level, rank)
        self._paid: set[object] = {begun.course.shares for begun in ahead.begun}
        self._events: list[tuple[float, int, Course, float, float, float, float]] = []
        self._entered = 0  # trials, those that were begun already too
        self._started = 0
        self._busy = 0.0  # seconds of all slots together
        self.epochs = 0.0

    def run(self, trials: int, more: int) -> tuple[float, float, float]:
        """Until `trials` trials have ended and, at the same rate, `more`."""
        waiting = sorted(self._ahead.begun, key=lambda begun: begun.seconds)
        free = self._ahead.slots
        end = now = 0.0
        while True:
            while free and (waiting or (trials and self._may_start(now))):
                if waiting:  # those that run come before those that wait
                    begun = waiting.pop()
                    passed = bisect_right(self._ahead.levels, begun.epoch)
                    rank = self._rank(passed, self._random.random())
                    self._go(now, begun.course, begun.epoch, rank, done=begun.seconds)
                else:
                    trials -= 1
                    self._started += 1
                    course = self._draw(self._random)
                    once = 0.0 if course.shares in self._paid else course.once
                    if course.shares is not None:
                        self._paid.add(course.shares)
                    rank = self._random.random()
                    self._go(now, course, 0.0, rank, done=-course.start - once)
                free -= 1
            if not self._events:
                break
            now, number, course, epoch, rank, trained, _ = heapq.heappop(self._events)
            end = now
            self.epochs += trained
            if epoch < self._ahead.epochs and self._goes_on(str(number), epoch, rank):
                self._go(now, course, epoch, rank, number=number)
            else:
                free += 1
        if more and self._started and self._may_start(end):
            return self._and_more(end, more)
        return end, self.epochs, self._started

    def _and_more(self, end: float, more: int) -> tuple[float, float, float]:
        """The same for as many more trials, each with the mean of those so far."""
        ahead = self._ahead
        seconds = self._busy / self._entered / ahead.slots
        epochs = self.epochs / self._entered
        epochs_left = ahead.total_epochs - self.epochs
        left = min(float(more), (ahead.seconds - end) / seconds, epochs_left / epochs)
        return end + left * seconds, self.epochs + left * epochs, self._started + left

    def _may_start(self, now: float) -> bool:
        ahead = self._ahead
        if ahead.total_epochs == math.inf:
            return now < ahead.seconds
        running = (
            trained * (1 - (end - now) / seconds)
            for end, *_, trained, seconds in self._events
            if seconds
        )
        return now < ahead.seconds and self.epochs + sum(running) < ahead.total_epochs

    def _go(
        self,
        now: float,
        course: Course,
        epoch: float,
        rank: float,
        done: float = 0.0,
        number: int | None = None,
    ) -> None:
        """From one rung to the next, of which so many seconds are over already."""
        if number is None:
            number = self._entered
            self._entered += 1
        ahead = self._ahead
        above = bisect_right(ahead.levels, epoch)
        until = ahead.levels[above] if above < len(ahead.levels) else float(ahead.epochs)
        seconds = course.seconds(epoch, until)
        # One that takes longer than it was to is taken for nearly there.
        seconds = max(seconds - done, 0.05 * seconds)
        self._busy += seconds
        trained = until - epoch
        event = now + seconds, number, course, until, rank, trained, seconds
        heapq.heappush(self._events, event)

    def _goes_on(self, trial: str, epoch: float, rank: float) -> bool:
        self._rungs.record(trial, epoch, rank + self._random.gauss(0.0, _NOISE))
        return self._rungs.goes_on(trial, epoch)

    def _rank(self, passed: int, share: float) -> float:
        """The rank among all trials, 1 the best, of one of those that passed so many rungs."""
        survive: float = self._ahead.reduction_factor**-passed
        return 1.0 - (1.0 - share) * survive
