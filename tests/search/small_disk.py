"""A disk of a few megabytes that a test may fill, or forbid to be written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import pytest

import search.ledger.search_journal

_BALLAST = "ballast"


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine mounts nothing for us: {done.stderr.strip()}")


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    folder.mkdir()
    mount("-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder that not even root can write to."""
    mount("--bind", str(folder), str(folder))
    try:
        mount("-o", "remount,bind,ro", str(folder))
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Until not a byte fits any more."""
    with (disk / _BALLAST).open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def make_room(disk: Path) -> None:
    (disk / _BALLAST).unlink()


@contextmanager
def broken_appends(monkeypatch: pytest.MonkeyPatch, number: int) -> Iterator[None]:
    """The journal's disk refuses every line, with this error's number, meanwhile."""

    def refuse(file: FileIO, lines: bytes) -> None:
        raise OSError(number, os.strerror(number), str(file.name))

    with monkeypatch.context() as patch:
        patch.setattr(search.ledger.search_journal, "append_whole", refuse)
        yield
