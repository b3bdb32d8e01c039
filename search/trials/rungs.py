"""Asynchronous successive halving (Li et al. 2020, arXiv 1810.05934), in two variants.

Stopping decides about a trial when it reaches a rung: `goes_on`. Promotion, the paper's own
(algorithm 2), lets all of them pause there, and decides whenever a worker is free who goes on:
`promotable`.

Pure bookkeeping: values at rungs in, decisions out. A rung holds values of exactly its own epoch,
so that whatever happened in between, only like is compared with like.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from search.trials.epochs import Clock
from spaces import StudyFile


@dataclass
class Rungs:
    """`levels` are epochs, lowest first; at each, the best 1 in `reduction_factor` go on."""

    levels: tuple[float, ...]
    reduction_factor: int
    values: dict[float, dict[str, float]] = field(default_factory=dict)
    _ranked: dict[float, list[tuple[float, str]]] = field(default_factory=dict, repr=False)
    """Each rung's values with their sign turned, and the trials: the best first, of equals the one
    that was started first."""

    @classmethod
    def geometric(cls, grace: float, reduction_factor: int, epochs: int) -> Rungs:
        """Rungs at grace, grace * factor, grace * factor^2 ... below the full budget, wherever
        these fall in an epoch."""
        clock = Clock.meeting(grace)
        levels = []
        step = clock.step(grace)
        while step < clock.step(epochs):
            levels.append(clock.epoch(step))
            step *= reduction_factor
        return cls(tuple(levels), reduction_factor)

    @classmethod
    def of(cls, study: StudyFile) -> Rungs:
        """The rungs of a study; none where its scheduler stops nothing."""
        search = study.search
        if search.scheduler == "none":
            return cls((), search.reduction_factor)
        return cls.geometric(search.grace_epochs, search.reduction_factor, study.epochs)

    def record(self, trial: str, epoch: float, value: float) -> None:
        """Keep a value where `epoch` is a rung; the first one of a trial stands."""
        rung = self.values.setdefault(epoch, {}) if epoch in self.levels else None
        if rung is not None and trial not in rung:
            rung[trial] = value
            insort(self._ranked.setdefault(epoch, []), (-value, trial))

    def goes_on(self, trial: str, epoch: float) -> bool:
        """Whether the trial is among the best at this epoch's rung; always true off the rungs.

        Of n values seen so far the best ceil(n / reduction_factor) go on, ties with the last of
        them included; the first trial to arrive always does.
        """
        rung = self.values.get(epoch, {})
        if trial not in rung:
            return True
        places = math.ceil(len(rung) / self.reduction_factor)
        worst, _ = self._ranked[epoch][places - 1]
        return -rung[trial] <= worst

    def promotable(self, paused: Mapping[str, float]) -> str | None:
        """The trial that a free worker goes on with: on the highest rung that has one, the best
        of those that are paused there and among the best floor(n / reduction_factor) of the n that
        have reached it; None where there is none. `paused` has each one's epoch."""
        for level in reversed(self.levels):
            places = len(self.values.get(level, ())) // self.reduction_factor
            if trial := self._best_paused(level, places, paused):
                return trial
        return None

    def place(self, trial: str, level: float) -> int:
        """How many trials are better than this one at a rung that it has reached."""
        ranked = self._ranked[level]
        return bisect_left(ranked, (-self.values[level][trial], trial))

    def leader(self, paused: Mapping[str, float]) -> str | None:
        """The best of the paused trials that got furthest, whether promotable or not."""
        for level in reversed(self.levels):
            if trial := self._best_paused(level, None, paused):
                return trial
        return None

    def _best_paused(
        self, level: float, places: int | None, paused: Mapping[str, float]
    ) -> str | None:
        ranked = islice(self._ranked.get(level, ()), places)
        return next((trial for _, trial in ranked if paused.get(trial) == level), None)
