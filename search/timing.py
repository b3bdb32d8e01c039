"""Timing a few real steps of some configurations, as the workers of a search would do them.

As many processes as would run side by side work at the same time, each through all configurations
from another one on: a core that is alone is faster than one that shares its memory and caches. They
have the precision, the threads and the environment of workers.
"""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from search.placement import Claim
from search.timed_steps import Timed
from search.worker_environment import WORKER_ENVIRONMENT
from spaces import Config, ResourceSettings, StudyFile, UserError


@dataclass(frozen=True)
class Timings:
    """`timed[i]` has what each process found of configuration i. `ready` seconds passed until a
    process had its libraries and data."""

    timed: Sequence[Sequence[Timed]]
    ready: float


def slots_here(resources: ResourceSettings, nodes: int = 1) -> int:
    """How many trials run side by side on this machine, or on so many like it; 0 where that is too
    small for one.

    Raises:
        UserError: if it is no number of GPUs that a process can have.
    """
    node = {"CPU": float(os.cpu_count() or 1), "GPU": float(torch.cuda.device_count())}
    claim = Claim.of(resources, torch.cuda.is_available())
    slots = claim.trials_on([node] * nodes)
    return slots if resources.concurrent is None else min(slots, resources.concurrent)


def _gpus(resources: ResourceSettings) -> float:
    """Of a process."""
    usual = 1.0 if torch.cuda.is_available() else 0.0
    return usual if resources.gpus is None else resources.gpus


def time_steps(study: StudyFile, configs: Sequence[Config], slots: int) -> Timings:
    """Time each configuration in `slots` trials side by side.

    Raises:
        UserError: if a process fails.
    """
    started = time.perf_counter()
    with ExitStack() as stack:
        processes = [
            stack.enter_context(_Process(environment))
            for slot in range(slots)
            for environment in _environments(study.resources, slot)
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


def _environments(resources: ResourceSettings, slot: int) -> Iterator[dict[str, str]]:
    """Of the processes of one trial, as `search.team` sets them too."""
    root = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    common = WORKER_ENVIRONMENT | {"OMP_NUM_THREADS": str(resources.cpus), "PYTHONPATH": path}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    for rank in range(resources.processes):
        environment = dict(common)
        gpus = _gpus(resources)
        if gpus and torch.cuda.is_available():
            device = int((slot * resources.processes + rank) * gpus)
            environment["CUDA_VISIBLE_DEVICES"] = str(device)
        if resources.processes > 1:
            world = {"RANK": rank, "WORLD_SIZE": resources.processes, "LOCAL_RANK": 0}
            environment |= {name: str(value) for name, value in world.items()}
            environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        yield environment


class _Process:
    """One process that times, and ends with the block that it is used in, whatever happens."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed with the block
        # With -P a folder of the user's that is called `search` is not taken for ours.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "search.timed_steps"],
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()  # It has said all that it had to say.
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
