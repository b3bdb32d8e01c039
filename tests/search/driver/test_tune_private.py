"""The private parts of Ray Tune that `search/driver/tune_private.py` relies on."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.execution.tune_controller import TuneController

from search.driver import tune_private
from tests.search.private_parts import PrivateParts

TUNE = PrivateParts("ray", "search/driver/tune_private.py")
MANAGER = "ray.air.execution._internal.actor_manager.RayActorManager"
GROUPS = "ray.air.execution.resources.placement_group.PlacementGroupResourceManager"
CONTROLLER = "ray.tune.execution.tune_controller.TuneController"


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_tune_writes_its_state_by_one_method(monkeypatch: pytest.MonkeyPatch) -> None:
    what = "what each step and the end call to write the state"
    with TUNE.relied_on(f"{CONTROLLER}.checkpoint", as_what=what) as checkpoint:
        assert parameters(checkpoint) == ["self", "force", "wait"]
        assert "self.checkpoint()" in inspect.getsource(TuneController.step)
        written: list[bool] = []
        monkeypatch.setattr(
            TuneController, "checkpoint", lambda _self, force, wait: written.append(force and wait)
        )
        controller = object.__new__(TuneController)
        with tune_private.one_snapshot():
            controller.checkpoint()
            controller.checkpoint(force=True, wait=True)
        assert written == [True]


def test_tune_adds_no_callback_where_ours_is(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "ray.tune.utils.callback._create_default_callbacks"
    what = "what adds a TrialProgressCallback only where there is none"
    with TUNE.relied_on(name, as_what=what) as add:
        monkeypatch.setenv("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
        from ray.tune.progress_reporter import TrialProgressCallback

        callbacks = add([tune_private.Silent()])
        reporters = [c for c in callbacks if isinstance(c, TrialProgressCallback)]
        assert [type(reporter) for reporter in reporters] == [tune_private.Silent]
        own = vars(TrialProgressCallback)
        assert {"log_result", "on_trial_complete"} <= own.keys()


def test_a_lost_worker_is_told_by_one_method(monkeypatch: pytest.MonkeyPatch) -> None:
    what = "what takes a RayActorError as the loss of a worker"
    with TUNE.relied_on(f"{MANAGER}._actor_task_failed", as_what=what) as failed:
        assert parameters(failed) == ["self", "tracked_actor_task", "exception"]
        assert "isinstance(exception, RayActorError)" in inspect.getsource(failed)
    with TUNE.relied_on(MANAGER, as_what="what looks that method up in its class") as manager:
        heard: list[Exception] = []
        monkeypatch.setattr(
            manager, "_actor_task_failed", lambda _self, _task, error: heard.append(error)
        )
        with tune_private.every_loss_counts():
            object.__new__(manager)._actor_task_failed(None, OutOfMemoryError("no memory"))
        (error,) = heard
        assert isinstance(error, RayActorError)
        assert "no memory" in str(error)


def test_tune_says_when_it_waits_and_what_it_has_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Room:
        has_reserved = staticmethod(lambda: False)
        waits = 0

        def has_none(self) -> None:
            self.waits += 1

    name = "ray.tune.execution.insufficient_resources_manager._InsufficientResourcesManager"
    what = "what a step that found no event and no worker calls with all trials"
    room = Room()
    with TUNE.relied_on(f"{name}.on_no_available_trials", as_what=what) as waits:
        assert parameters(waits) == ["self", "all_trials"]
        step = inspect.getsource(TuneController.step)
        assert "self._insufficient_resources_manager.on_no_available_trials(" in step
    with (
        TUNE.relied_on(name, as_what="made without a cluster") as manager,
        tune_private.watched(room),
    ):
        manager().on_no_available_trials([])
        assert room.waits == 1
    with TUNE.relied_on(f"{GROUPS}.request_resources", as_what="what asks for a place") as ask:
        assert parameters(ask) == ["self", "resource_request"]
    with TUNE.relied_on(GROUPS, as_what="what keeps _request_to_staged_pgs") as groups:
        assert groups()._request_to_staged_pgs == {}
        monkeypatch.setattr(groups, "request_resources", lambda _self, _request: None)
        with tune_private.watched(room):
            groups().request_resources(None)
            assert not room.has_reserved()


def test_a_trial_knows_its_worker_its_losses_and_its_errors(tmp_path: Path) -> None:
    with TUNE.relied_on("ray.tune.experiment.Trial", as_what="what has a worker's state") as kind:
        trial = kind("none", stub=True)
        assert tune_private.worker_of(trial) is None
        assert tune_private.losses_of(trial) == 0
        trial.run_metadata.num_failures = 2
        assert tune_private.losses_of(trial) == trial.num_failures == 2
        tune_private.forget_losses(trial)
        assert trial.num_failures == 0
        assert "num_failures" in inspect.getsource(kind.should_recover)
        assert isinstance(kind.error_file, property)
        handle = inspect.getsource(kind._handle_ray_actor_error) + inspect.getsource(kind)
        assert "Failure # " in handle

    class Failed:
        error_file = str(tmp_path / "error.txt")

    Path(Failed.error_file).write_text("Failure # 1 (at 1)\na\nFailure # 2 (at 2)\nb\n")
    assert tune_private.last_error_of(Failed()) == " 2 (at 2)\nb\n"


def test_the_controller_keeps_the_trials_that_live() -> None:
    with TUNE.relied_on(f"{CONTROLLER}.get_live_trials", as_what="those not ended") as live:
        assert parameters(live) == ["self"]
        controller = object.__new__(TuneController)
        controller._live_trials = {"a trial"}
        assert tune_private.live_trials(controller) == {"a trial"}
