"""One trial on a Ray worker: the model's `train` with a report that goes to Tune.

The worker process is warm: it keeps its imports, and the corpus and the encoder's weights, which
it reads from the node's object store without a copy. Everything that a trial writes lies in its
own folder.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray import tune

from model import (
    ALL_TASKS,
    Ask,
    Corpus,
    InterruptionError,
    Metrics,
    Pretrained,
    Report,
    Save,
    TrialError,
    TrialFolder,
    make_accelerator,
    never,
    release_memory,
    train,
)
from search.tensorboard.trial_events import TrialEvents
from search.text.words import epoch_text
from search.trials.disk_errors import is_of_disk
from search.trials.epochs import Clock
from search.trials.rungs import Rungs
from search.trials.study_folder import StudyFolder
from search.worker.end_request import EndRequest, Pulse
from search.worker.helpers import MeetingError, gather
from search.worker.trial_log import logging_into
from spaces import Config, StudyFile, UserError

# Keys of what a trial reports to Tune: an epoch and its score; why it failed; something that the
# user should know; what the disk did not take.
EPOCH, SCORE, FAILURE, NOTE, DISK = "epoch", "score", "failure", "note", "disk"


@dataclass(frozen=True)
class Shared:
    """What all trials of a study have in common, put into the object store once."""

    study: StudyFile
    folder: StudyFolder
    corpus: Corpus
    encoder: Pretrained
    train: Callable[..., object] = train


def run_trial(given: Mapping[str, Any], shared: ray.ObjectRef[Shared]) -> None:
    """Tune's trainable. `given` has the trial's "id" and its "values".

    It reports epoch and score after each epoch and at each rung; a trial that cannot go on reports
    its failure and ends in order, so that the worker stays warm for the next one.
    """
    common = ray.get(shared)
    folder = common.folder.trial(given["id"])
    try:
        with logging_into(folder, alone=True):
            failure = _run(given, shared, common, folder)
            if failure is not None:
                tune.report({FAILURE: failure})
    except OSError as error:
        if not is_of_disk(error):
            raise
        file = error.filename or str(folder.path)
        tune.report({DISK: (error.errno, error.strerror, file)})


def _run(
    given: Mapping[str, Any], shared: ray.ObjectRef[Shared], common: Shared, folder: TrialFolder
) -> str | None:
    """Train to the end, or until asked to end. The result says why the trial failed, and is None
    where it did not."""
    config = common.study.space.config(given["values"])
    if lost := folder.mend():
        logging.warning("%s", lost)
        tune.report({NOTE: lost})
    folder.start(config)
    logging.info("trial %s: %s", given["id"], config.active())
    helpers = gather(common.study.resources.processes).helpers
    # In a list, so that a helper gets the reference and reads its own node's copy.
    running = [helper.run.remote(train_along, given, [shared]) for helper in helpers]
    pulse = Pulse(EndRequest(common.folder.end_request), folder.log)
    try:
        with ExitStack() as stack:
            _train(given, common, _Reporter(common, folder, config, stack), pulse)
        ray.get(running)
    except InterruptionError:
        pass
    except MeetingError:
        logging.exception("the trial starts anew in another worker")
        gather.cache_clear()
        raise
    except (TrialError, UserError) as error:
        logging.error("%s", error)
        return str(error)
    except Exception as error:
        logging.exception("the trial cannot go on")
        _raise_if_died(running)
        if isinstance(error, OSError) and is_of_disk(error):
            raise
        return _why(error)
    return None


def _why(error: Exception) -> str:
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return f"its worker process ran out of memory ({str(error) or 'MemoryError'})"
    return f"{type(error).__name__}: {error}"


def train_along(given: Mapping[str, Any], shared: Sequence[ray.ObjectRef[Shared]]) -> None:
    """Train a helper's part of a trial of several processes."""
    common = ray.get(shared[0])
    with logging_into(common.folder.trial(given["id"])):

        def silent(epoch: float, metrics: Metrics, save: Save) -> bool:
            raise AssertionError("only the first process reports")

        try:
            _train(given, common, silent, never)
        except (TrialError, InterruptionError) as error:
            logging.info("%r", error)  # which the first process has seen too, and reports


def _train(given: Mapping[str, Any], common: Shared, report: Report, asked_to_end: Ask) -> None:
    release_memory()  # of the worker's trial before, whose thread has ended only now
    study = common.study
    try:
        accelerator = make_accelerator(study.resources.precision)
    except (RuntimeError, ValueError) as error:  # of torch's, whose own kinds are of these
        if study.resources.processes == 1:
            raise
        raise MeetingError(str(error)) from error
    torch.set_num_threads(study.resources.cpus)
    common.train(
        study.space.config(given["values"]),
        ALL_TASKS,
        common.corpus,
        common.encoder,
        accelerator,
        report,
        report_at=Rungs.of(study).levels,
        objective=study.search.objective,
        resume=common.folder.trial(given["id"]).checkpoint,
        asked_to_end=asked_to_end,
    )


class _Reporter:
    """Writes, at each report, the checkpoint, the metrics, the TensorBoard events and the log, and
    last reports to Tune.

    To stop a trial, Tune ends its thread inside its report.
    """

    def __init__(
        self, common: Shared, folder: TrialFolder, config: Config, stack: ExitStack
    ) -> None:
        self._common, self._folder, self._config, self._stack = common, folder, config, stack
        self._clock = Clock.of(common.study)
        self._events: TrialEvents | None = None

    def __call__(self, epoch: float, metrics: Metrics, save: Save) -> bool:
        step = self._clock.step(epoch)
        if not self._folder.is_begun:  # Somebody has deleted it.
            self._folder.start(self._config)
        save(self._folder.checkpoint)
        self._folder.record(epoch, metrics)
        if self._events is None or not self._events.path.exists():
            self._events = self._open_events(step)
        self._events.epoch(step, metrics)
        logging.info("epoch %s: %s", epoch_text(epoch), _line(metrics))
        objective = self._common.study.search.objective
        tune.report({EPOCH: epoch, SCORE: metrics[f"score/{objective}"]})
        return True

    def _open_events(self, step: int) -> TrialEvents:
        free = self._common.study.space.free
        events = TrialEvents(self._folder.path, self._config.active(), free, step - 1)
        self._stack.callback(events.close, "running")
        return events


def _raise_if_died(running: Sequence[Any]) -> None:
    """Raise if a helper has died: Tune then starts the trial anew, as it does where the trial's
    worker died."""
    ended, _ = (
        ray.wait(list(running), num_returns=len(running), timeout=10) if running else ([], [])
    )
    for reference in ended:
        try:
            ray.get(reference)
        except ray.exceptions.RayActorError:
            gather.cache_clear()
            raise
        except Exception:
            logging.exception("a helper failed")


def _line(metrics: Metrics) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
