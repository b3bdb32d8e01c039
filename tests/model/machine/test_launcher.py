"""A launcher's variables count where they are complete; what others left behind never does."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState, PartialState

from model import Launch, Meeting, make_accelerator, settle
from model.machine.launcher import launched

ROOT = Path(__file__).parents[3]

TORCHRUN = {
    "RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29512",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
}
MPI = {
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_LOCAL_RANK": "0",
    "MASTER_ADDR": "node1",
    "MASTER_PORT": "29500",
}
LEFT_OVER = [
    {"LOCAL_RANK": "0"},
    {"LOCAL_RANK": ""},
    {"LOCAL_RANK": "nonsense"},
    {"WORLD_SIZE": "2"},
    {"RANK": "0", "WORLD_SIZE": "1"},
    {"MASTER_ADDR": "gone", "MASTER_PORT": "1"},
    {"PMI_RANK": "0", "PMI_SIZE": "4"},
    {"OMPI_COMM_WORLD_SIZE": "8"},
    {"MV2_COMM_WORLD_SIZE": "2", "MV2_COMM_WORLD_RANK": "1"},
    {"LOCAL_WORLD_SIZE": "0"},
    {"FORK_LAUNCHED": "nonsense"},
    {"ACCELERATE_USE_FSDP": "true"},
    {"ACCELERATE_USE_DEEPSPEED": "true"},
    {"ACCELERATE_USE_CPU": "nonsense"},
    {"ACCELERATE_TORCH_DEVICE": "nonsense"},
    {"ACCELERATE_MIXED_PRECISION": "fp8"},
    {"ACCELERATE_DYNAMO_BACKEND": "INDUCTOR"},
    {"ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "4"},
    {**TORCHRUN, "MASTER_PORT": "nonsense"},
    {**TORCHRUN, "MASTER_PORT": "70000"},
    {**TORCHRUN, "RANK": "2"},
    {name: value for name, value in TORCHRUN.items() if name != "MASTER_PORT"},
]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No accelerator has been made, and no launcher speaks; afterwards all is as it was."""
    for state in (AcceleratorState, PartialState, GradientState):
        monkeypatch.setattr(state, "_shared_state", {})
    for name in list(os.environ):
        if name.startswith(("ACCELERATE_", "SLURM_", "PMI_", "OMPI_", "MV2_")) or name in TORCHRUN:
            monkeypatch.delenv(name)


def test_torchrun_and_mpi_are_complete() -> None:
    launch = Launch(1, 2, 1, "127.0.0.1", 29512, local_processes=2, is_hosted=True)
    assert launched(TORCHRUN) == launch
    assert launched(launch.environment()) == launch
    assert launched(MPI) == Launch(1, 2, 0, "node1", 29500)


@pytest.mark.parametrize("left", LEFT_OVER, ids=str)
def test_what_was_left_over_is_neither_a_launch_nor_a_setting(left: dict[str, str]) -> None:
    environment = {**left, "PATH": "/bin"}
    assert launched(environment) is None
    settle(environment, None)
    assert environment == {"PATH": "/bin"}


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("left", LEFT_OVER, ids=str)
def test_training_alone_is_the_same_whatever_was_left_over(
    left: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    accelerator = make_accelerator("fp32")
    assert (accelerator.num_processes, accelerator.mixed_precision) == (1, "no")
    assert accelerator.gradient_accumulation_steps == 1
    assert accelerator.state.dynamo_plugin.backend.value == "NO"
    assert accelerator.device == torch.device(accelerator.device.type)
    assert not torch.distributed.is_initialized()


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("left", "named"),
    [
        ({"LOCAL_RANK": "0", "WORLD_SIZE": "1"}, None),
        ({"RANK": "1", "WORLD_SIZE": "2"}, "RANK, WORLD_SIZE is set"),
        ({"PMI_SIZE": "4", "PMI_RANK": "0"}, "PMI_SIZE is set"),
    ],
)
def test_who_meant_several_processes_is_told(
    left: dict[str, str],
    named: str | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    with caplog.at_level(logging.WARNING):
        make_accelerator("fp32")
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == (named is not None)
    assert all(line.startswith(f"Trained in this process alone: {named}") for line in told)


def test_threads_of_a_launch_are_one_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.machine.launcher.usable_cpus", lambda: 8)
    launch = Launch(0, 4, 0, "127.0.0.1", 29512, local_processes=2)
    for given, threads in (("4,2", "4"), ("3", "3"), ("", "4"), ("many", "4"), ("0", "4")):
        environment = {"OMP_NUM_THREADS": given}
        settle(environment, launch)
        assert environment["OMP_NUM_THREADS"] == threads


MEET = """
import os, sys, torch
import torch.distributed as dist
from model import make_accelerator

accelerator = make_accelerator("fp32")
total = accelerator.reduce(torch.tensor([float(os.environ["RANK"]) + 1]))
print(accelerator.num_processes, accelerator.process_index, total.item())
"""


def test_processes_meet_at_a_port_that_was_bound_before_they_started() -> None:
    meeting = Meeting("127.0.0.1")
    started = []
    for rank in range(2):
        # As a batch job may have left it, of another training that was restarted.
        environment = {**os.environ, "TORCHELASTIC_RESTART_COUNT": str(rank + 1)}
        settle(environment, None)
        settle(environment, Launch(rank, 2, 0, "127.0.0.1", meeting.port, is_hosted=True))
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", MEET], env=environment, cwd=ROOT, stdout=subprocess.PIPE
            )
        )
    printed = [process.communicate(timeout=120)[0].decode().split() for process in started]
    assert printed == [["2", "0", "3.0"], ["2", "1", "3.0"]]
