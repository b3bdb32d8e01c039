"""Sends what Ray says into the study's log; the terminal shows our own sentence on the same
thing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._private import worker
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune.execution.tune_controller import TuneController
from ray.tune.progress_reporter import TrialProgressCallback


@contextmanager
def ray_speaks_to(log: logging.Logger) -> Iterator[None]:
    """Ray's own loggers, and the messages of its nodes, which it would print."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.data", "ray.train", "ray.tune")]
    before = [(logger, logger.handlers, logger.propagate) for logger in loggers]
    print_message = worker.print_to_stdstream

    def to_log(message: dict[str, Any], *_options: Any, **_more: Any) -> None:
        for line in message["lines"]:
            log.info("Ray: %s", line.strip())

    for logger in loggers:
        logger.handlers, logger.propagate = [*log.handlers], False
    worker.print_to_stdstream = to_log
    try:
        yield
    finally:
        worker.print_to_stdstream = print_message
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate


class Unsaved:
    """A base class that pickles as nothing: Tune pickles whatever it is given, but the state that
    counts is in the journal."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


@contextmanager
def one_snapshot() -> Iterator[None]:
    """Keep Tune from writing down the state of all its trials again and again: a tenth of the
    driver's work, for what nobody reads, since the journal and the trials' folders are the truth.
    It gets the one file that it asks for at its end."""
    write = TuneController.checkpoint
    taken = False

    def checkpoint(controller: TuneController, force: bool = False, wait: bool = False) -> None:
        nonlocal taken
        if not taken:
            taken = True
            write(controller, force=True, wait=True)

    TuneController.checkpoint = checkpoint
    try:
        yield
    finally:
        TuneController.checkpoint = write


class Silent(Unsaved, TrialProgressCallback):  # type: ignore[misc]
    """Stands in the place of the callback that Tune would add, which prints how some trials ended,
    whatever the verbosity."""

    def log_result(self, *given: Any, **more: Any) -> None:
        pass

    def on_trial_complete(self, *given: Any, **more: Any) -> None:
        pass


@contextmanager
def every_loss_counts() -> Iterator[None]:
    """Have Tune take every error of Ray's own as the loss of the worker, memory that ran out and
    results that went with a node among them: it would end the whole search with those."""
    failed = RayActorManager._actor_task_failed

    def actor_task_failed(manager: Any, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, RayError) and not isinstance(
            exception, RayActorError | RayTaskError
        ):
            exception = RayActorError(error_msg=str(exception))
        failed(manager, tracked_actor_task, exception)

    RayActorManager._actor_task_failed = actor_task_failed
    try:
        yield
    finally:
        RayActorManager._actor_task_failed = failed
