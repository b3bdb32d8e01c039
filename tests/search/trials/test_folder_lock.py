"""A lock that one process holds and everyone may look at, without the holder-to-be noticing."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from search.trials import folder_lock
from search.trials.folder_lock import HeldError, hold, is_held
from spaces import UserError

LOOK = """
import sys
from pathlib import Path
from search.trials.folder_lock import is_held
print("looking", flush=True)
while True:
    is_held(Path(sys.argv[1]))
"""
START = """
import sys
from pathlib import Path
from search.trials.folder_lock import hold
for _ in range(300):
    with hold(Path(sys.argv[1])):
        pass
"""


@contextmanager
def running(script: str, file: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", script, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_no_start_is_refused_however_many_look(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with hold(lock):
        pass
    with running(LOOK, lock) as first, running(LOOK, lock) as second:
        for looker in (first, second):
            assert looker.stdout is not None
            assert looker.stdout.readline() == "looking\n"
        started = subprocess.run([sys.executable, "-c", START, str(lock)], check=False)
        assert started.returncode == 0
        assert first.poll() is second.poll() is None


def test_a_look_in_the_holder_s_own_process_sees_the_lock_and_leaves_it(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    assert not is_held(lock)
    with hold(lock):
        assert is_held(lock)
        assert is_held(lock)
        with pytest.raises(HeldError), hold(lock):
            pass
    assert not is_held(lock)


def test_a_look_needs_no_right_to_write(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with hold(lock):
        lock.chmod(0o444)
        assert is_held(lock)


def test_the_lock_says_who_holds_it_and_nothing_when_nobody_does(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    lock.write_text("4194304123 that was killed")
    with hold(lock):
        assert lock.read_text() == str(os.getpid())
        with pytest.raises(HeldError) as refused, hold(lock):
            pass
    assert refused.value.process == str(os.getpid())
    assert lock.read_text() == ""


def test_a_disk_without_locks_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_given: object) -> bytes:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.fcntl", fails)
    with (
        pytest.raises(UserError, match=r"cannot lock a file \(No locks available\).*--dir"),
        hold(tmp_path / ".lock"),
    ):
        pass
    assert not is_held(tmp_path / ".lock")


def test_who_comes_between_the_lock_and_the_number_in_it_is_told_the_number(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with lock.open("a+") as held:
        folder_lock._call(held, fcntl.F_OFD_SETLK)
        threading.Timer(0.05, lock.write_text, ["123"]).start()
        with pytest.raises(HeldError) as error, hold(lock):
            pass
    assert error.value.process == "123"


def test_a_holder_that_says_nothing_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_lock, "_SECONDS_TO_WRITE", 0.01)
    with (tmp_path / ".lock").open("a+") as held:
        folder_lock._call(held, fcntl.F_OFD_SETLK)
        with pytest.raises(HeldError, match="unknown"), hold(tmp_path / ".lock"):
            pass
