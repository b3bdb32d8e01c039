"""Asynchronous successive halving, the stopping variant (Li et al. 2020, arXiv 1810.05934).

Pure bookkeeping: values at rungs in, decisions out. A rung holds values of exactly its own epoch,
so that whatever happened in between, only like is compared with like.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from spaces import StudyFile


@dataclass
class Rungs:
    """`levels` are epochs, lowest first; at each, the best 1 in `reduction_factor` go on."""

    levels: tuple[int, ...]
    reduction_factor: int
    values: dict[int, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def geometric(cls, grace: int, reduction_factor: int, epochs: int) -> Rungs:
        """Rungs at grace, grace * factor, grace * factor^2 ... below the full budget."""
        levels = []
        level = grace
        while level < epochs:
            levels.append(level)
            level *= reduction_factor
        return cls(tuple(levels), reduction_factor)

    @classmethod
    def of(cls, study: StudyFile) -> Rungs:
        """The rungs of a study; none where its scheduler stops nothing."""
        search = study.search
        if search.scheduler == "none":
            return cls((), search.reduction_factor)
        return cls.geometric(search.grace_epochs, search.reduction_factor, study.epochs)

    def record(self, trial: str, epoch: int, value: float) -> None:
        """Keep a value where `epoch` is a rung; the first one of a trial stands."""
        if epoch in self.levels:
            self.values.setdefault(epoch, {}).setdefault(trial, value)

    def goes_on(self, trial: str, epoch: int) -> bool:
        """Whether the trial is among the best at this epoch's rung; always true off the rungs.

        Of n values seen so far the best ceil(n / reduction_factor) go on, ties with the last of
        them included; the first trial to arrive always does.
        """
        rung = self.values.get(epoch, {})
        if trial not in rung:
            return True
        places = math.ceil(len(rung) / self.reduction_factor)
        cutoff = sorted(rung.values(), reverse=True)[places - 1]
        return rung[trial] >= cutoff
