"""One trial on a Ray worker: the model's `train` with a report that goes to Tune.

The worker process is warm: it keeps its imports, and the corpus and the encoder's weights, which
it reads from the node's object store without a copy. Everything that a trial writes lies in its
own folder.
"""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray import tune

from model import (
    ALL_TASKS,
    Corpus,
    DivergenceError,
    Metrics,
    Pretrained,
    Report,
    Save,
    TrialFolder,
    make_accelerator,
    release_memory,
    train,
)
from search.clock import Clock, epoch_text
from search.rungs import Rungs
from search.study_folder import StudyFolder
from search.team import gather
from search.tensorboard import TrialEvents
from spaces import StudyFile, UserError

# Keys of what a trial reports to Tune.
EPOCH, SCORE, FAILURE = "epoch", "score", "failure"


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
    config = common.study.space.config(given["values"])
    with _log_into(folder):
        folder.start(config)
        logging.info("trial %s: %s", given["id"], config.active())
        helpers = gather(common.study.resources.processes)
        # In a list, so that a helper gets the reference and reads its own node's copy.
        running = [helper.run.remote(train_along, given, [shared]) for helper in helpers]
        try:
            with ExitStack() as stack:
                _train(given, common, _Reporter(common, folder, stack))
            ray.get(running)
        except (DivergenceError, UserError) as error:
            logging.error("%s", error)
            tune.report({FAILURE: str(error)})
        except Exception as error:
            traceback.print_exc()
            _raise_if_died(running)
            tune.report({FAILURE: f"{type(error).__name__}: {error}"})


def train_along(given: Mapping[str, Any], shared: Sequence[ray.ObjectRef[Shared]]) -> None:
    """A helper's part of a trial of several processes."""
    common = ray.get(shared[0])
    with _log_into(common.folder.trial(given["id"])):

        def never(epoch: float, metrics: Metrics, save: Save) -> bool:
            raise AssertionError("only the first process reports")

        try:
            _train(given, common, never)
        except DivergenceError:
            logging.info("diverged")  # which the first process has seen too, and reports


def _train(given: Mapping[str, Any], common: Shared, report: Report) -> None:
    release_memory()  # of the worker's trial before, whose thread has ended only now
    study = common.study
    torch.set_num_threads(study.resources.cpus)
    common.train(
        study.space.config(given["values"]),
        ALL_TASKS,
        common.corpus,
        common.encoder,
        make_accelerator(study.resources.precision),
        report,
        report_at=Rungs.of(study).levels,
        objective=study.search.objective,
        resume=common.folder.trial(given["id"]).checkpoint,
    )


class _Reporter:
    """At each report: checkpoint, metrics, TensorBoard, log, and last the report to Tune.

    To stop a trial, Tune ends its thread inside its report.
    """

    def __init__(self, common: Shared, folder: TrialFolder, stack: ExitStack) -> None:
        self._common, self._folder, self._stack = common, folder, stack
        self._clock = Clock.meeting(common.study.search.grace_epochs)
        self._events: TrialEvents | None = None

    def __call__(self, epoch: float, metrics: Metrics, save: Save) -> bool:
        step = self._clock.step(epoch)
        save(self._folder.checkpoint)
        self._folder.record(epoch, metrics)
        if self._events is None:
            self._events = self._open_events(step)
        self._events.epoch(step, metrics)
        logging.info("epoch %s: %s", epoch_text(epoch), _line(metrics))
        objective = self._common.study.search.objective
        tune.report({EPOCH: epoch, SCORE: metrics[f"score/{objective}"]})
        return True

    def _open_events(self, step: int) -> TrialEvents:
        config, free = self._folder.config(), self._common.study.space.free
        events = TrialEvents(self._folder.path, config.active(), free, step - 1)
        self._stack.callback(events.close, "running")
        return events


def _raise_if_died(running: Sequence[Any]) -> None:
    """Tune starts a trial anew whose worker died; so it shall where a helper of it did."""
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
            traceback.print_exc()


def _line(metrics: Metrics) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())


@contextmanager
def _log_into(folder: TrialFolder) -> Iterator[None]:
    """Everything that is logged or printed goes into the trial's own log."""
    folder.path.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger()
    with (
        folder.log.open("a", encoding="utf-8", buffering=1) as file,
        redirect_stdout(file),
        redirect_stderr(file),
    ):
        handler = logging.StreamHandler(file)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        try:
            logging.info("worker process %d", os.getpid())
            yield
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
