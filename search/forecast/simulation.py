"""How long a study, or the rest of one, will take: it is simulated, many times.

Trials are handed to the workers as they come free, each takes its course, and at each rung it goes
on, pauses or is stopped by the rule of the search itself. What is not known is drawn: the
configurations, and how good each is. Scores count by their rank alone; that of a trial is much the
same from rung to rung, but for a little noise. Early stopping by a trial itself, `search.patience`,
failures, and what the sampler learns to prefer are left out.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from search.forecast.durations import Course
from search.trials.rungs import Rungs

_NOISE = 0.1  # standard deviation of how a trial's rank moves from one rung to the next
_TRIALS = 400  # more are not simulated but taken for more of the same


@dataclass(frozen=True)
class Begun:
    """A trial that is not at its end: where it was reported last, and how many seconds ago; 0 for
    one that waits for a worker."""

    course: Course
    epoch: float = 0.0
    seconds: float = 0.0
    place: int | None = None
    """Of one that is paused at a rung, how many are better there; None for all others."""


@dataclass(frozen=True)
class Ahead:
    """What is left of a study."""

    slots: int
    """How many trials run side by side."""
    trials: int
    """How many trials have not been handed out yet."""
    epochs: int
    """The full budget of a trial."""
    levels: Sequence[float] = ()
    """The rungs, lowest first."""
    reduction_factor: int = 3
    promotes: bool = False
    """Whether trials pause at rungs until they are promoted, or else are stopped there."""
    completed: bool = False
    """Whether any trial has had its full budget."""
    begun: Sequence[Begun] = ()
    arrived: Mapping[float, int] = field(default_factory=dict)
    """How many trials have reached each rung."""
    seconds: float = math.inf
    """No trial starts after so many seconds from now."""
    total_epochs: float = math.inf
    """No trial starts once so many more epochs were trained."""


@dataclass(frozen=True)
class Forecast:
    """What the simulations say. `seconds` until the last trial ends are those of the middle
    simulation, and nine of ten lie between `low` and `high`; `epochs` are trained and `trials` are
    started in the middle one."""

    seconds: float
    low: float
    high: float
    epochs: float
    trials: float


def forecast(
    ahead: Ahead, draw: Callable[[Random], Course], repetitions: int = 30, seed: int = 0
) -> Forecast:
    """Simulate what is ahead `repetitions` times; `draw` gives the course of a trial to come."""
    ends = sorted(_simulate(ahead, draw, Random(seed + n)) for n in range(repetitions))
    seconds, epochs, trials = ends[repetitions // 2]
    low, high = (ends[round(share * (repetitions - 1))][0] for share in (0.05, 0.95))
    return Forecast(seconds, low, high, epochs, trials)


def _simulate(
    ahead: Ahead, draw: Callable[[Random], Course], random: Random
) -> tuple[float, float, float]:
    """One simulation: its seconds, the epochs trained, and the trials started."""
    study = _Simulation(ahead, draw, random)
    most = max(_TRIALS, 4 * ahead.slots)
    return study.run(min(ahead.trials, most), max(0, ahead.trials - most))


@dataclass
class _Run:
    """A trial: under `name` the rungs know it, its `rank` among all is 1 where it is the best."""

    name: str
    course: Course
    epoch: float
    rank: float


@dataclass(order=True)
class _Stretch:
    """What a slot is busy with until `end`: a trial on its way to the next rung."""

    end: float
    number: int
    run: _Run = field(compare=False)
    trained: float = field(compare=False)
    """Epochs."""
    seconds: float = field(compare=False)


class _Simulation:
    def __init__(self, ahead: Ahead, draw: Callable[[Random], Course], random: Random) -> None:
        self._ahead, self._draw, self._random = ahead, draw, random
        self._rungs = Rungs(tuple(ahead.levels), ahead.reduction_factor)
        self._paused: dict[float, list[tuple[float, str]]] = {level: [] for level in ahead.levels}
        """By rung, the best first: its rank with the sign turned, and its name."""
        self._runs: dict[str, _Run] = {}  # those that are paused, by name
        for number, level in enumerate(ahead.levels):
            arrived = ahead.arrived.get(level, 0)
            for place in range(arrived):
                rank = self._rank(number, 1 - (place + 0.5) / arrived)
                self._rungs.record(_arrived(level, place), level, rank)
        for begun in ahead.begun:
            if begun.place is not None:
                name = _arrived(begun.epoch, begun.place)
                rank = self._rungs.values[begun.epoch][name]
                self._pause(_Run(name, begun.course, begun.epoch, rank))
        self._paid: set[object] = {begun.course.shares for begun in ahead.begun}
        self._stretches: list[_Stretch] = []
        self._new = 0  # trials to come
        self._entered = 0  # stretches from a trial's beginning, or from where it was found
        self._started = 0
        self._completed = ahead.completed
        self._busy = 0.0  # seconds of all slots together
        self.epochs = 0.0

    def run(self, trials: int, more: int) -> tuple[float, float, float]:
        """Simulate until `trials` trials have ended, and add `more` at the same rate; seconds,
        epochs and trials started."""
        self._new = trials
        waiting = sorted(
            (begun for begun in self._ahead.begun if begun.place is None),
            key=lambda begun: begun.seconds,
        )
        free = self._ahead.slots
        end = now = 0.0
        while True:
            while free:
                if waiting:  # those that run come before those that wait
                    self._go_on(now, waiting.pop())
                elif not self._hand_out(now):
                    break
                free -= 1
            if not self._stretches:
                break
            ended = heapq.heappop(self._stretches)
            end = now = ended.end
            run = ended.run
            self.epochs += ended.trained
            if run.epoch < self._ahead.epochs and self._goes_on(now, run):
                self._go(now, run)
            else:
                free += 1
                self._completed |= run.epoch >= self._ahead.epochs
        if more and self._started and self._may_start(end):
            return self._and_more(end, more)
        return end, self.epochs, self._started

    def _go_on(self, now: float, begun: Begun) -> None:
        """With a trial that runs, or waits for a worker, already."""
        passed = bisect_right(self._ahead.levels, begun.epoch)
        rank = self._rank(passed, self._random.random())
        run = _Run(self._name(), begun.course, begun.epoch, rank)
        self._go(now, run, done=begun.seconds)

    def _hand_out(self, now: float) -> bool:
        """What a free slot gets, as `search.ledger.ledger.Ledger.next` gives it; whether there is
        any."""
        if not self._may_start(now):
            return False
        promoted = self._promotable()
        if promoted is not None:
            self._go(now, self._runs.pop(promoted))
        elif self._new:
            self._new -= 1
            self._started += 1
            course = self._draw(self._random)
            once = 0.0 if course.shares in self._paid else course.once
            if course.shares is not None:
                self._paid.add(course.shares)
            run = _Run(self._name(), course, 0.0, self._random.random())
            self._go(now, run, done=-course.start - once)
        elif self._stretches or self._completed or not self._runs:
            return False
        else:  # The one that is left alone goes on to the end.
            level = max(level for level, paused in self._paused.items() if paused)
            self._go(now, self._runs.pop(self._paused[level].pop(0)[1]))
        return True

    def _promotable(self) -> str | None:
        """See `search.trials.rungs.Rungs.promotable`; what is paused is in order here. It is taken
        out."""
        for level, paused in reversed(self._paused.items()):
            places = len(self._rungs.values.get(level, ())) // self._ahead.reduction_factor
            if paused and self._rungs.place(paused[0][1], level) < places:
                return paused.pop(0)[1]
        return None

    def _pause(self, run: _Run) -> None:
        self._runs[run.name] = run
        insort(self._paused[run.epoch], (-self._rungs.values[run.epoch][run.name], run.name))

    def _and_more(self, end: float, more: int) -> tuple[float, float, float]:
        """What `run` gives where `more` trials follow, each with the mean of those so far."""
        ahead = self._ahead
        seconds = self._busy / self._entered / ahead.slots
        epochs = self.epochs / self._entered
        left = float(more)
        if seconds:
            left = min(left, (ahead.seconds - end) / seconds)
        if epochs:
            left = min(left, (ahead.total_epochs - self.epochs) / epochs)
        return end + left * seconds, self.epochs + left * epochs, self._started + left

    def _may_start(self, now: float) -> bool:
        ahead = self._ahead
        if ahead.total_epochs == math.inf:
            return now < ahead.seconds
        running = (
            stretch.trained * (1 - (stretch.end - now) / stretch.seconds)
            for stretch in self._stretches
            if stretch.seconds
        )
        return now < ahead.seconds and self.epochs + sum(running) < ahead.total_epochs

    def _go(self, now: float, run: _Run, done: float = 0.0) -> None:
        """Let a trial train from one rung to the next; `done` seconds of that are over already."""
        ahead = self._ahead
        above = bisect_right(ahead.levels, run.epoch)
        until = ahead.levels[above] if above < len(ahead.levels) else float(ahead.epochs)
        seconds = run.course.seconds(run.epoch, until)
        # A trial that takes longer than was predicted is taken to be nearly there.
        seconds = max(seconds - done, 0.05 * seconds)
        self._busy += seconds
        trained, run.epoch = until - run.epoch, until
        number = int(run.name) if run.name.isdigit() else -1
        heapq.heappush(self._stretches, _Stretch(now + seconds, number, run, trained, seconds))

    def _goes_on(self, now: float, run: _Run) -> bool:
        """What is decided at a rung, as by `search.ledger.ledger.Ledger.report`."""
        rank = run.rank + self._random.gauss(0.0, _NOISE)
        self._rungs.record(run.name, run.epoch, rank)
        if not self._ahead.promotes:
            return self._rungs.goes_on(run.name, run.epoch)
        self._pause(run)
        if not self._may_start(now):
            return False
        promoted = self._promotable()
        if promoted is None:
            return False
        if promoted == run.name:
            self._runs.pop(promoted)
            return True
        self._pause(self._runs[promoted])  # It waits for the slot that gets free now.
        return False

    def _name(self) -> str:
        self._entered += 1
        return str(self._entered - 1)

    def _rank(self, passed: int, share: float) -> float:
        """The rank among all trials, where 1 is the best, of a trial that passed so many rungs and
        is at `share` of those that did."""
        survive: float = self._ahead.reduction_factor**-passed
        return 1.0 - (1.0 - share) * survive


def _arrived(level: float, place: int) -> str:
    """The name of a trial that has reached a rung before the simulation."""
    return f"{place} at {float(level)}"
