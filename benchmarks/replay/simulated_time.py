"""Simulated time: workers that train by looking up, and a method that tells them what to train.

A worker's epoch takes its recorded seconds; then it reports, and waits for the answer. The method
answers one at a time, as the one driver of a search does, and its own computing time, as measured
here, passes on the same clock: with a thousand workers that is what they wait for.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.replay.landscape import Landscape, Truth
from spaces import Value


class Method(Protocol):
    """A search under test."""

    def next(self) -> tuple[str, Mapping[str, Value]] | None:
        """A trial for a free worker, with its active free factors; None where there is none now.
        One that was given out before goes on after its last epoch."""

    def report(self, trial: str, epoch: int, score: float) -> bool:
        """Hear of a score; the result says whether the worker goes on with this trial."""

    def end(self, trial: str) -> None:
        """Hear that a trial has had its full budget, or that its worker was told not to go on."""

    def fail(self, trial: str) -> None:
        """Hear that a trial has diverged."""


@dataclass(frozen=True)
class Moment:
    """What a search would return after so many epochs in total, at so many seconds: `score` is the
    true one, at the full budget, of that configuration."""

    epochs: int
    seconds: float
    score: float


@dataclass
class Incumbent:
    """Knows which trial a search would return: of those that got furthest, the one with the best
    observed score there. The rule is the same for all methods."""

    _furthest: dict[str, tuple[int, float]] = field(default_factory=dict)
    _truths: dict[str, float] = field(default_factory=dict)
    _best: str | None = None

    def report(self, trial: str, epoch: int, score: float, truth: float) -> None:
        self._furthest[trial], self._truths[trial] = (epoch, score), truth
        if self._best == trial or self._best is None:
            self._choose()
        elif self._furthest[trial] > self._furthest[self._best]:
            self._best = trial

    def fail(self, trial: str) -> None:
        self._furthest.pop(trial, None)
        if self._best == trial:
            self._choose()

    @property
    def truth(self) -> float | None:
        return None if self._best is None else self._truths[self._best]

    def _choose(self) -> None:
        self._best = max(self._furthest, key=lambda t: self._furthest[t], default=None)


@dataclass
class Trace:
    """What happened in one replay."""

    moments: list[Moment] = field(default_factory=list)
    trials: int = 0
    epochs: int = 0
    seconds: float = 0.0
    busy_seconds: float = 0.0
    """How long all workers together have trained, in simulated seconds."""
    method_seconds: float = 0.0
    """How long the method itself has computed, in seconds."""

    def add(self, seconds: float, score: float | None) -> None:
        """Take note that one more epoch has been trained."""
        self.epochs += 1
        if score is not None and (not self.moments or self.moments[-1].score != score):
            self.moments.append(Moment(self.epochs, seconds, score))

    def busy(self, workers: int) -> float:
        """The share of the workers' time in which they trained."""
        return self.busy_seconds / (workers * self.seconds) if self.seconds else 0.0


@dataclass
class _Trial:
    name: str
    truth: Truth
    observed: list[float]
    epoch: int = 0


class _Replay:
    def __init__(
        self, method: Method, landscape: Landscape, repetition: int, workers: int, seconds: float
    ) -> None:
        self.method, self.landscape, self.repetition = method, landscape, repetition
        self.scale = seconds
        self.trace, self.incumbent = Trace(), Incumbent()
        self.trials: dict[str, _Trial] = {}
        self.ahead: list[tuple[float, int, _Trial]] = []  # when an epoch ends
        self.order = 0
        self.idle = workers
        self.clock = 0.0  # the driver's: it is free again

    def run(self, epochs: int) -> Trace:
        self._hand_out()
        while self.ahead and self.trace.epochs < epochs:
            moment, _, trial = heapq.heappop(self.ahead)
            self.clock = max(self.clock, moment)
            self.trace.seconds = moment
            self._epoch_ended(trial)
            self._hand_out()
        # The part that running trials have trained until now was work too.
        for end, _, trial in self.ahead:
            length = trial.truth.seconds * self.scale
            self.trace.busy_seconds -= min(length, max(0.0, end - self.trace.seconds))
        return self.trace

    def _epoch_ended(self, trial: _Trial) -> None:
        trial.epoch += 1
        if trial.epoch > trial.truth.survives:
            self.incumbent.fail(trial.name)
            with self._charged():
                self.method.fail(trial.name)
            goes_on = False
        else:
            score = trial.observed[trial.epoch - 1]
            self.incumbent.report(trial.name, trial.epoch, score, trial.truth.scores[-1])
            with self._charged():
                goes_on = self.method.report(trial.name, trial.epoch, score)
                goes_on = goes_on and trial.epoch < self.landscape.epochs
                if not goes_on:
                    self.method.end(trial.name)
        self.trace.add(self.trace.seconds, self.incumbent.truth)
        if goes_on:
            self._train(trial)
        else:
            self.idle += 1

    def _hand_out(self) -> None:
        while self.idle:
            with self._charged():
                given = self.method.next()
            if given is None:
                return
            name, values = given
            if name not in self.trials:
                truth = self.landscape.truth(values)
                noise = self.landscape.noise.drawn(values, len(truth.scores), self.repetition)
                observed = [float(score) for score in noise + truth.scores]
                self.trials[name] = _Trial(name, truth, observed)
                self.trace.trials += 1
            self.idle -= 1
            self._train(self.trials[name])

    def _train(self, trial: _Trial) -> None:
        length = trial.truth.seconds * self.scale
        self.trace.busy_seconds += length
        self.order += 1
        heapq.heappush(self.ahead, (self.clock + length, self.order, trial))

    def _charged(self) -> _Charge:
        return _Charge(self)


class _Charge:
    """Lets the clock run on by what happens inside."""

    def __init__(self, replay: _Replay) -> None:
        self.replay = replay

    def __enter__(self) -> None:
        self.started = time.thread_time()

    def __exit__(self, *failure: object) -> None:
        spent = time.thread_time() - self.started
        self.replay.clock += spent
        self.replay.trace.method_seconds += spent


def replay(
    method: Method,
    landscape: Landscape,
    repetition: int,
    workers: int,
    epochs: int,
    seconds: float = 1.0,
) -> Trace:
    """Run a method until `epochs` epochs are trained in all; `seconds` multiplies the length of
    every epoch."""
    return _Replay(method, landscape, repetition, workers, seconds).run(epochs)
