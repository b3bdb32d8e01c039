"""The command line as a user runs it, in a process of its own, on trials of some seconds."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from search.trials.journal_file import read_records
from search.trials.record import Record
from search.trials.study_folder import StudyFolder
from spaces import StudyFile

SECONDS = 400  # how long anything may take on a busy machine


@dataclass
class Home:
    """Where a search is started: every process of it has its working folder here or below."""

    path: Path
    file: Path
    folder: StudyFolder
    study: StudyFile

    @property
    def records(self) -> list[Record]:
        if not self.folder.journal.exists():
            return []
        return read_records(self.folder.journal, self.study.space)

    def epochs(self, trial: str) -> list[float]:
        return [row["epoch"] for row in self.folder.trial(trial).read()]

    def processes(self) -> dict[int, str]:
        """Names of the processes that were started here, directly or by others, and still live."""
        alive = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                here = (process / "cwd").readlink().is_relative_to(self.path)
                name, _, state = (process / "stat").read_text().partition("(")[2].rpartition(")")
            except OSError:
                continue
            if here and state.split()[0] != "Z":
                alive[int(process.name)] = name
        return alive

    def end(self) -> None:
        for process in self.processes():
            os.kill(process, signal.SIGKILL)


@contextmanager
def search(home: Home, *more: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """The command line as a user runs it, killed at the end if it still lives."""
    arguments = ["search", str(home.file), "--dir", str(home.folder.path), *more]
    settings = {"OMP_NUM_THREADS": "1", "RAY_TMPDIR": str(home.path), **environment}
    with subprocess.Popen(
        # The installed program: `python -m` may end with the signal itself, though it was caught.
        [Path(sys.executable).with_name("ablatune"), *arguments],
        cwd=home.path,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a signal to the tests is none to the search
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(happened: Callable[[], Any], process: subprocess.Popen[str] | None = None) -> None:
    """Poll until something has happened; fails after a deadline, or where the search ended."""
    deadline = time.monotonic() + SECONDS
    while not happened():
        if process is not None and process.poll() is not None:
            pytest.fail(f"the search ended early: {process.communicate()}")
        assert time.monotonic() < deadline
        time.sleep(0.05)


def worker_of(home: Home, trial: str) -> int:
    """The process that runs a trial, or was the last to do so."""
    return int(re.findall(r"worker process (\d+)", home.folder.trial(trial).log.read_text())[-1])


def starts(home: Home, trial: str) -> list[tuple[float, int]]:
    """From which epoch and update each worker of a trial went on."""
    log = home.folder.trial(trial).log
    told = log.read_text() if log.exists() else ""
    found = re.findall(r"training from epoch ([\d.]+), update (\d+)", told)
    return [(float(epoch), int(update)) for epoch, update in found]
