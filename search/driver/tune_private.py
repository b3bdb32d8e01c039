"""All that reaches into private or undocumented parts of Ray Tune, which any new version may
change.

`tests/search/driver/test_tune_private.py` tells what is relied on, and fails with a sentence where
it is so no more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.air.execution.resources.placement_group import PlacementGroupResourceManager
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune.execution.insufficient_resources_manager import _InsufficientResourcesManager
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.util import placement_group_table

from search.driver.unsaved import Unsaved


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


class Waiting(Protocol):
    """Who is told while no trial has a place."""

    has_reserved: Callable[[], bool]
    """Whether a place is kept for a trial already, which Ray has yet to hand over."""

    def has_none(self) -> None:
        """In this step Tune waits, and no trial has a place."""


@contextmanager
def watched(room: Waiting) -> Iterator[None]:
    """Tune says, in place of a warning of its own, when it waits and no trial has a place, not
    even one whose worker still starts."""
    warn = _InsufficientResourcesManager.on_no_available_trials
    request = PlacementGroupResourceManager.request_resources

    def on_no_available_trials(_manager: Any, _trials: Any) -> None:
        room.has_none()

    def request_resources(manager: Any, resource_request: Any) -> None:
        request(manager, resource_request)
        room.has_reserved = partial(_has_reserved, manager)

    _InsufficientResourcesManager.on_no_available_trials = on_no_available_trials
    PlacementGroupResourceManager.request_resources = request_resources
    try:
        yield
    finally:
        _InsufficientResourcesManager.on_no_available_trials = warn
        PlacementGroupResourceManager.request_resources = request


def _has_reserved(manager: Any) -> bool:
    """Between Ray's reservation and Tune's knowing it is the start of a worker process."""
    asked_for = [group for groups in manager._request_to_staged_pgs.values() for group in groups]
    return any(placement_group_table(group).get("state") == "CREATED" for group in asked_for)


def live_trials(controller: TuneController) -> Collection[Trial]:
    """Those that have not ended, so that a choice among them takes no longer with every trial that
    has."""
    trials: Collection[Trial] = controller.get_live_trials()
    return trials


def worker_of(trial: Trial) -> Any:
    """The actor that runs a trial, to kill it."""
    return trial.temporary_state.ray_actor


def losses_of(trial: Trial) -> int:
    """How many workers of a trial were lost since `forget_losses`: Tune gives it up at a number of
    them."""
    return int(trial.run_metadata.num_failures)


def forget_losses(trial: Trial) -> None:
    """Have Tune count the losses of a trial's workers from the beginning."""
    trial.run_metadata.num_failures = 0


def last_error_of(trial: Trial) -> str:
    """What Ray said of the last loss of a trial's worker; Tune has written down them all."""
    return Path(trial.error_file).read_text(encoding="utf-8").rpartition("Failure #")[2]
