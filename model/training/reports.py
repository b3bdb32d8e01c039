"""What passes between a training and whoever watches it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from model.storage.trial_folder import Metrics


class Ask(Protocol):
    """A function that is called before each update and at each piece of an evaluation. It says
    whether the trial shall save what it has and end, and the call is a sign of life for whoever
    watches the trial."""

    def __call__(self) -> bool: ...


class InterruptionError(Exception):
    """The trial was asked to end, and has saved itself where it was."""


class TrialError(Exception):
    """What a trial's own configuration led to, and it cannot go on from."""


class DivergenceError(TrialError):
    """A loss that is no number, or far worse than that of knowing nothing, in an epoch (from 1)."""

    def __init__(self, epoch: int, task: str, loss: float) -> None:
        super().__init__(f"epoch {epoch}: the training loss of {task} is {loss:g}")
        self.epoch, self.task, self.loss = epoch, task, loss


class UndefinedScoreError(TrialError):
    """The objective has no value: predictions are no numbers, or all the same, which correlate with
    nothing. Such a network hardly ever learns again, and there is nothing to compare it by."""

    def __init__(self, epoch: float, task: str, why: str) -> None:
        super().__init__(f"epoch {epoch:g}: the score of {task} is undefined: {why}")
        self.epoch, self.task = epoch, task


class Save(Protocol):
    """Writes the checkpoint of the evaluation just reported into a folder."""

    def __call__(self, folder: Path) -> None: ...


class Report(Protocol):
    """Called after each evaluation, and first of all with the last one of a trial that is resumed
    (whose report may have been lost); says whether to go on.

    `epoch` is how many epochs the trial has trained: an int after a whole one.
    """

    def __call__(self, epoch: float, metrics: Metrics, save: Save) -> bool: ...


def never() -> bool:
    """The answer where nobody asks the trial to end."""
    return False
