"""A trial's time: the epochs of training it has had, whole ones and parts of them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from spaces import StudyFile

_MOST_STEPS = 1000


@dataclass(frozen=True)
class Clock:
    """Epochs as whole steps, which is what Optuna and TensorBoard count in."""

    steps_per_epoch: int = 1

    @classmethod
    def meeting(cls, epoch: float) -> Clock:
        """The coarsest clock with a step at `epoch`, or, where that takes more than 1,000 steps an
        epoch, with one that is as near as can be."""
        return cls(Fraction(epoch).limit_denominator(_MOST_STEPS).denominator)

    @classmethod
    def of(cls, study: StudyFile) -> Clock:
        """The clock of a study, by which its journal, rungs, events and sampler count."""
        return cls.meeting(study.search.grace_epochs)

    def step(self, epoch: float) -> int:
        """The whole step that is nearest to an epoch."""
        return round(epoch * self.steps_per_epoch)

    def epoch(self, step: int) -> float:
        """The epoch at a step, the same float wherever it is computed; an int where it is whole."""
        whole, rest = divmod(step, self.steps_per_epoch)
        return step / self.steps_per_epoch if rest else whole
