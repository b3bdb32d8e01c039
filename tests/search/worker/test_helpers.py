"""The processes of one trial find each other, and stay."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from model import Launch, Meeting
from search.driver.faults import _described
from search.trials.study_folder import StudyFolder
from search.worker import run_trial as ray_trial
from search.worker.helpers import MeetingError, Team, gather
from search.worker.run_trial import Shared, run_trial


@pytest.fixture(autouse=True)
def not_gathered() -> Iterator[None]:
    gather.cache_clear()
    yield
    gather.cache_clear()


def test_a_trial_of_one_process_is_alone_whatever_a_launcher_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", {"HOME": "/home/me"})
        os.environ |= Launch(1, 2, 1, "gone", 29500, is_hosted=True).environment()
        assert gather(1) == Team()
        assert os.environ == {"HOME": "/home/me"}


def test_the_port_of_a_team_is_bound_from_the_beginning() -> None:
    meetings = [Meeting("127.0.0.1") for _ in range(2)]
    assert meetings[0].port != meetings[1].port
    for meeting in meetings:
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", meeting.port))


def test_processes_that_do_not_find_each_other_are_not_the_configurations_failure(
    monkeypatch: pytest.MonkeyPatch, tiny_study: Callable[..., Any], tmp_path: Path
) -> None:
    """The error goes on to Tune, which starts the trial anew, and is told as what it is."""

    def refused(_precision: str) -> None:
        raise torch.distributed.DistNetworkError("the address is in use")

    monkeypatch.setattr(ray_trial, "make_accelerator", refused)
    monkeypatch.setattr(ray_trial, "gather", cache(lambda _processes: Team()))
    common = Shared(
        tiny_study(resources={"processes": 2}),
        StudyFolder(tmp_path),
        None,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
    )
    monkeypatch.setattr(ray_trial.ray, "get", lambda _reference: common)
    with pytest.raises(MeetingError, match="the address is in use") as raised:
        run_trial({"id": "0000", "values": {}}, None)  # type: ignore[arg-type]
    told = "Failure # 1\n" + "".join(traceback.format_exception(raised.value))
    assert _described(told) == "its processes did not find each other"


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_two_processes_add_up_and_are_the_same_two_the_next_time() -> None:
    import ray
    from ray.util.placement_group import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    # Functions inside a function travel to the workers, which do not have this file.
    def add_up(reported: Any) -> None:
        import torch
        import torch.distributed as dist

        if not dist.is_initialized():
            dist.init_process_group("gloo")
        total = torch.tensor([float(os.environ["RANK"]) + 1])
        dist.all_reduce(total)
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        seen = {name: os.environ[name] for name in names}
        ray.get(reported.add.remote({**seen, "pid": os.getpid(), "total": total.item()}))

    class Reported:
        def __init__(self) -> None:
            self.all: list[dict[str, Any]] = []

        def add(self, one: dict[str, Any]) -> None:
            self.all.append(one)

        def get(self) -> list[dict[str, Any]]:
            return self.all

    def first_process(reported: Any) -> None:
        for _ in range(2):
            helpers = gather(2).helpers
            running = [helper.run.remote(add_up, reported) for helper in helpers]
            add_up(reported)
            ray.get(running)

    group = placement_group([{"CPU": 1}] * 2)
    reported = ray.remote(num_cpus=0)(Reported).remote()
    strategy = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=0)
    try:
        task = ray.remote(num_cpus=1, scheduling_strategy=strategy)(first_process)
        ray.get(task.remote(reported), timeout=120)
        seen = ray.get(reported.get.remote())
    finally:
        remove_placement_group(group)

    assert len(seen) == 4
    assert {one["total"] for one in seen} == {3.0}
    assert {(one["RANK"], one["WORLD_SIZE"], one["LOCAL_RANK"]) for one in seen} == {
        ("0", "2", "0"),
        ("1", "2", "0"),
    }
    assert len({one["pid"] for one in seen}) == 2
