"""Processes that time steps are as many as a search would have, in a worker's environment."""

from __future__ import annotations

import pytest
import torch

from model import Meeting
from model.machine.launcher import launched
from search.forecast import timing
from search.forecast.timing import slots_here
from spaces import ResourceSettings


@pytest.mark.parametrize(
    ("resources", "slots"),
    [
        (ResourceSettings(), 6),
        (ResourceSettings(cpus=2), 3),
        (ResourceSettings(cpus=2, processes=2), 1),
        (ResourceSettings(cpus=4, processes=2), 0),
        (ResourceSettings(concurrent=2), 2),
    ],
)
def test_slots_are_of_the_cpus_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch, resources: ResourceSettings, slots: int
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr(timing, "usable_cpus", lambda: 6)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert slots_here(resources) == slots


def test_what_a_launcher_left_behind_does_not_reach_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    (environment,) = timing._environments(ResourceSettings(cpus=3), 0, None)
    left = {"LOCAL_RANK", "WORLD_SIZE", "ACCELERATE_GRADIENT_ACCUMULATION_STEPS"}
    assert not left & environment.keys()
    assert environment["OMP_NUM_THREADS"] == "3"


def test_processes_of_a_trial_meet_at_a_port_that_is_bound() -> None:
    resources, meeting = ResourceSettings(processes=2), Meeting("127.0.0.1")
    launches = [launched(one) for one in timing._environments(resources, 0, meeting)]
    assert [(one.rank, one.processes, one.port, one.is_hosted) for one in launches if one] == [
        (0, 2, meeting.port, True),
        (1, 2, meeting.port, True),
    ]


@pytest.mark.parametrize(
    ("visible", "gpus", "devices"),
    [
        (None, 1.0, ["2", "3"]),
        ("4,5,6,7", 1.0, ["6", "7"]),
        ("a, b, c, d", 1.0, ["c", "d"]),
        ("a,b,c,d", None, ["c", "d"]),  # one each where it is not said
        ("a,b,c,d", 0.5, ["b", "b"]),
        ("a,b,c,d", 0.4, ["b", "b"]),
        ("a,b,c,d", 0.0, ["", ""]),
        (None, 0.0, ["", ""]),
    ],
)
def test_each_process_sees_its_part_of_the_devices_that_are_visible(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, gpus: float | None, devices: list[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    environments = timing._environments(ResourceSettings(processes=2, gpus=gpus), 1, None)
    assert [one["CUDA_VISIBLE_DEVICES"] for one in environments] == devices
