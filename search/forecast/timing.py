"""Timing a few real steps of some configurations, as the workers of a search would do them.

As many processes as would run side by side work at the same time, each through all configurations
from another one on: a core that is alone is faster than one that shares its memory and caches. They
have the precision, the threads and the environment of workers.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch

import ablatune
from model import Launch, Meeting, settle, usable_cpus
from search.forecast.timed_steps import Timed
from search.worker.environment import WORKER_ENVIRONMENT
from search.worker.placement import Claim
from spaces import Config, ResourceSettings, StudyFile, UserError

_HERE = "127.0.0.1"
_DEVICES = "CUDA_VISIBLE_DEVICES"

# Our packages are found as this process has found them, whatever lies in the user's folder or on
# PYTHONPATH, and nothing else is that lies beside them.
PROGRAM = f"""
import sys
sys.path.insert(0, {ablatune.ROOT!r})
import ablatune
del sys.path[0]
from search.forecast.timed_steps import main
main()
"""


@dataclass(frozen=True)
class Timings:
    """What was measured: `timed[i]` has what each process found of configuration i, and `ready` is
    how many seconds passed until a process had its libraries and data."""

    timed: Sequence[Sequence[Timed]]
    ready: float


def slots_here(resources: ResourceSettings, nodes: int = 1) -> int:
    """How many trials run side by side on this machine, or on so many like it; 0 where that is too
    small for one.

    Raises:
        UserError: if it is no number of GPUs that a process can have.
    """
    node = {"CPU": float(usable_cpus()), "GPU": float(torch.cuda.device_count())}
    slots = _claim(resources).trials_on([node] * nodes)
    return slots if resources.concurrent is None else min(slots, resources.concurrent)


def uses_gpu(resources: ResourceSettings) -> bool:
    """Whether trials would train on a GPU of this machine."""
    return torch.cuda.is_available() and _claim(resources).gpus > 0


def _claim(resources: ResourceSettings) -> Claim:
    return Claim.of(resources, torch.cuda.is_available())


def time_steps(study: StudyFile, configs: Sequence[Config], slots: int) -> Timings:
    """Time each configuration in `slots` trials side by side.

    Raises:
        UserError: if a process fails.
    """
    started = time.perf_counter()
    with ExitStack() as stack:
        meetings = [_meeting(study.resources) for _ in range(slots)]  # kept until the end
        processes = [
            stack.enter_context(_Process(environment))
            for slot, meeting in enumerate(meetings)
            for environment in _environments(study.resources, slot, meeting)
        ]
        per_trial = study.resources.processes
        for number, process in enumerate(processes):
            slot = number // per_trial
            first = slot * len(configs) // slots
            order = [*range(first, len(configs)), *range(first)]
            process.send(pickle.dumps((study, list(configs), order)))
        for process in processes:
            process.line()
        ready = time.perf_counter() - started
        for process in processes:
            process.send(b"go\n")
        found = [json.loads(process.line()) for process in processes]
    first_ones = found[::per_trial]  # the first process of each trial
    timed = [[Timed(**one[str(i)]) for one in first_ones] for i in range(len(configs))]
    return Timings(timed, ready)


def _meeting(resources: ResourceSettings) -> Meeting | None:
    """What the processes of one trial meet at, None where it has only one."""
    return Meeting(_HERE) if resources.processes > 1 else None


def _environments(
    resources: ResourceSettings, slot: int, meeting: Meeting | None
) -> Iterator[dict[str, str]]:
    """Of the processes of one trial, as `search.worker.helpers` sets them too."""
    for rank in range(resources.processes):
        environment = {**os.environ, **WORKER_ENVIRONMENT}
        environment["OMP_NUM_THREADS"] = str(resources.cpus)
        settle(environment, None)
        process = slot * resources.processes + rank
        environment[_DEVICES] = ",".join(_claim(resources).devices(process, _devices()))
        if meeting is not None:
            launch = Launch(rank, resources.processes, 0, _HERE, meeting.port, is_hosted=True)
            settle(environment, launch)
        yield environment


def _devices() -> list[str]:
    """CUDA's names of the devices that this process sees, which may not be all."""
    count = torch.cuda.device_count()
    named = os.environ.get(_DEVICES, "")
    return (
        [name.strip() for name in named.split(",")][:count] if named else [*map(str, range(count))]
    )


class _Process:
    """A process that times steps. Used as a context manager, it ends with the block, whatever
    happens."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed with the block
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()  # All that it had to say has been read.
        with self._process, self._errors:
            pass

    def send(self, content: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(content)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._failure() from None

    def line(self) -> bytes:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._failure()
        return line

    def _failure(self) -> UserError:
        self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        why = said[-1] if said else f"a process ended with {self._process.returncode}"
        return UserError(f"Steps could not be timed ({why}); --no-timing plans without.")
