"""One trial: a configuration trained on all tasks at once, from one evaluation to the next."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from model.data.corpus import Corpus
from model.encoder.pretrained import Pretrained
from model.storage.trial_folder import Metrics
from model.tasks.task import Task
from model.training.reports import Ask, InterruptionError, Report, never
from model.training.trial import Trial
from spaces import Config

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """How a trial ended: its last metrics, and where it was best by the objective."""

    epoch: float
    metrics: Metrics
    best_epoch: float
    best_score: float


def train(
    config: Config,
    tasks: Sequence[Task],
    corpus: Corpus,
    encoder: Pretrained,
    accelerator: Accelerator,
    report: Report,
    *,
    report_at: Sequence[float] = (),
    objective: str = "mean",
    resume: Path | None = None,
    asked_to_end: Ask = never,
) -> Trained:
    """Train for up to `config.epochs` epochs, or until `report` says no.

    After each epoch, and at each of `report_at` (epochs of training above 0 and below
    `config.epochs`, met at the nearest update), the trial is evaluated and the main process calls
    `report(epoch, metrics, save)`. The metrics are `train_loss/TASK` (the mean of the epoch so
    far, weighted as drawn, with dropout; not there for a task without updates), `dev_loss/TASK`,
    `score/TASK`, `score/mean`, and of what was done since the last report `seconds` (training and
    evaluation) and `examples_per_second` (in training, over all processes). `objective` names the
    score that decides which weights are the best. What is trained does not depend on where it is
    evaluated.

    `resume` is a folder that `save` wrote into: training goes on after what it holds and gives,
    bit for bit, what it would have given without the interruption. Where it has no checkpoint,
    training starts at the beginning. When the main process's `asked_to_end` says so, the trial is
    saved there where it is, inside an epoch too, and ends.

    With `config.early_stopping` the trial ends after that many whole epochs in a row that did not
    better the objective; where else it is evaluated does not count.

    Raises:
        DivergenceError: if a training loss is not finite or ten times that of knowing nothing.
        UndefinedScoreError: if the objective has no value, since all predictions are the same.
        InterruptionError: if it was asked to end.
        UserError: if the configuration does not fit the encoder, or the number of processes.
    """
    trial = Trial(config, tasks, corpus, encoder, accelerator, objective, asked_to_end)
    if resume is not None:
        trial.load(resume)
    ahead = deque(
        epoch for epoch in sorted({*range(1, config.epochs + 1), *report_at}) if epoch > trial.epoch
    )
    _log.info("training from epoch %g, update %d", trial.epoch, trial.updates)
    try:
        if trial.epoch == 0:
            trial.run_until(ahead.popleft())
        while _agreed(accelerator, report, trial) and ahead:
            trial.run_until(ahead.popleft())
    except InterruptionError:
        trial.save_where_it_is(resume)
        _log.info("asked to end after update %d", trial.updates)
        raise
    return Trained(trial.epoch, trial.metrics, trial.best_epoch, trial.best_score)


def _agreed(accelerator: Accelerator, report: Report, trial: Trial) -> bool:
    """Whether to go on: the main process decides by its report and the scores, and tells all
    others."""
    answer = [False]
    try:
        if accelerator.is_main_process:
            answer = [report(trial.epoch, trial.metrics, trial.save) and not trial.has_stalled]
    finally:  # A report that raises ends the trial in all processes.
        if accelerator.num_processes > 1:
            broadcast_object_list(answer)
    return answer[0]
