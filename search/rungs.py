"""Asynchronous successive halving, the stopping variant (Li et al. 2020, arXiv 1810.05934).

Pure bookkeeping: values at rungs in, decisions out. A rung holds values of exactly its own epoch,
so that whatever happened in between, only like is compared with like.
"""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass, field

from search.clock import Clock
from spaces import StudyFile


@dataclass
class Rungs:
    """`levels` are epochs, lowest first; at each, the best 1 in `reduction_factor` go on."""

    levels: tuple[float, ...]
    reduction_factor: int
    values: dict[float, dict[str, float]] = field(default_factory=dict)
    _ascending: dict[float, list[float]] = field(default_factory=dict, repr=False)

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
            insort(self._ascending.setdefault(epoch, []), value)

    def goes_on(self, trial: str, epoch: float) -> bool:
        """Whether the trial is among the best at this epoch's rung; always true off the rungs.

        Of n values seen so far the best ceil(n / reduction_factor) go on, ties with the last of
        them included; the first trial to arrive always does.
        """
        rung = self.values.get(epoch, {})
        if trial not in rung:
            return True
        places = math.ceil(len(rung) / self.reduction_factor)
        return rung[trial] >= self._ascending[epoch][-places]
