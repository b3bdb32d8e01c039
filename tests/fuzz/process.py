"""Inputs are tried in another process, which one of them may end, or hang."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

_LONGEST_SILENCE = 180.0
"""Seconds, after which a process that tries an input is ended: it hangs in a library."""

_MORE_MEMORY = 6 << 30
"""Bytes that a process may map beyond what the libraries take."""


def tried_inputs(
    kind: str, seed: int, until: float
) -> Iterator[tuple[int, str, Sequence[str], Path]]:
    """Inputs one after the other, in another process, which may die of one or hang in it: each
    with its number, outcome, faults, and a folder where it lies until the next is asked for."""
    numbers = count()
    with tempfile.TemporaryDirectory(prefix="ablatune-fuzz-") as scratch:
        while time.monotonic() < until:
            with _worker(kind, seed) as (process, pipe):
                _wait_for(pipe)
                for number in numbers:
                    if time.monotonic() >= until:
                        break
                    folder, sound = Path(scratch) / f"{number}", Path(scratch) / f"{number}-as-made"
                    pipe.send((number, str(folder), str(sound)))
                    try:
                        there = pipe.poll(_LONGEST_SILENCE)
                        outcome, faults = pipe.recv() if there else ("finding", ["hangs"])
                    except (EOFError, ConnectionResetError):
                        process.join()
                        outcome, faults = "finding", [f"ends the process: {process.exitcode}"]
                    yield number, outcome, faults, sound
                    shutil.rmtree(folder, ignore_errors=True)
                    shutil.rmtree(sound, ignore_errors=True)
                    if faults and (faults == ["hangs"] or not process.is_alive()):
                        break


@contextmanager
def _worker(kind: str, seed: int) -> Iterator[tuple[BaseProcess, Connection]]:
    context = get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=_work, args=(kind, seed, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield process, pipe
    finally:
        with suppress(OSError):
            pipe.send(None)
        process.join(timeout=5)  # so that it takes down what it has made
        process.kill()
        process.join()


def _wait_for(pipe: Connection) -> None:
    """Until the other process has made its materials and imported all that it needs."""
    try:
        is_there = pipe.poll(_LONGEST_SILENCE) and pipe.recv()
    except EOFError:
        is_there = False
    if not is_there:
        raise RuntimeError("the process that tries inputs does not start")


def _work(kind: str, seed: int, pipe: Connection) -> None:
    from tests.fuzz.kinds import attempt, prepare

    _limit_memory()
    pipe.send(True)
    while True:
        if (asked := pipe.recv()) is None:
            return
        number, folder, sound = asked
        prepare(kind, seed, number, Path(folder))
        shutil.copytree(folder, sound, symlinks=True)
        result = attempt(Path(folder))
        pipe.send((result.outcome, result.faults))


def _limit_memory() -> None:
    """So that what asks for all of it is told and ends nothing else."""
    import resource

    import torch  # noqa: F401  # What libraries map when they are imported is not an input's.
    import transformers  # noqa: F401

    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = mapped + _MORE_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
