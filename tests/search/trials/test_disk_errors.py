"""What the disk does not take ends a search, and is no trial's fault."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.trials.disk_errors import disk_sentence, is_of_disk
from search.trials.study_folder import StudyFolder
from search.worker import run_trial as ray_trial
from search.worker import trial_log
from search.worker.run_trial import DISK, Shared, run_trial


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (
            errno.EACCES,
            "run/log.txt may not be read or written (permission denied). Once it may, the same "
            "command goes on.",
        ),
        (
            errno.ENOSPC,
            "The disk is full: run/log.txt could not be written (no space left on device). Make "
            "room, and the same command goes on.",
        ),
        (
            errno.EROFS,
            "The disk failed: run/log.txt could not be written (read-only file system). Once it "
            "can be written, the same command goes on.",
        ),
    ],
)
def test_a_disks_error_is_one_sentence(number: int, sentence: str) -> None:
    error = OSError(number, os.strerror(number), "run/log.txt")
    assert is_of_disk(error)
    assert disk_sentence(error) == sentence


def test_no_connection_and_no_missing_file_is_the_disks() -> None:
    assert not is_of_disk(FileNotFoundError(errno.ENOENT, "no such file"))
    assert not is_of_disk(ConnectionRefusedError(errno.ECONNREFUSED, "refused"))


def test_a_log_that_may_not_be_written_ends_the_search_and_not_the_trial(
    tiny_study: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(log: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(log))

    folder, told = StudyFolder(tmp_path), []
    shared = Shared(tiny_study(), folder, None, None)  # type: ignore[arg-type]
    monkeypatch.setattr(ray_trial.ray, "get", lambda _reference: shared)
    monkeypatch.setattr(ray_trial.tune, "report", told.append)
    monkeypatch.setattr(trial_log, "LastingLog", refused)
    run_trial({"id": "0000", "values": {}}, None)  # type: ignore[arg-type]
    log = str(folder.trial("0000").log)
    assert told == [{DISK: (errno.EACCES, os.strerror(errno.EACCES), log)}]
