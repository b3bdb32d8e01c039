"""The lock of a study's folder: held by one search, seen by everyone without being touched.

It is a lock of an open file ("open file description lock", fcntl(2)): the system gives it up with
the process that holds it, it works between machines that share a disk, and, unlike flock's, it can
be asked about. A look that took it for a moment would have a search refused that starts meanwhile.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from spaces import UserError

_FLOCK = "hhqqi4x"  # struct flock: kind, whence, start, length (0: to the end), process
_HELD = (errno.EAGAIN, errno.EACCES)
_SECONDS_TO_WRITE = 1.0


class HeldError(Exception):
    """Another process holds the lock; `process` is its number, "unknown" where it says none."""

    def __init__(self, process: str) -> None:
        super().__init__(process)
        self.process = process


@contextmanager
def hold(file: Path) -> Iterator[None]:
    """Hold the lock of a file, which is made where there is none, and say in it who does.

    Raises:
        HeldError: if another process holds it.
        UserError: if nothing can be written there, or the disk knows no locks.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        opened = file.open("a+")
    except OSError as error:
        raise UserError(f"Cannot write to {file.parent}: {error.strerror}.") from None
    with opened:
        try:
            _call(opened, fcntl.F_OFD_SETLK)
        except OSError as error:
            if error.errno not in _HELD:
                raise UserError(
                    f"The disk of {file.parent} cannot lock a file ({error.strerror}), and two "
                    "searches there at once would spoil the study; name a folder on another disk "
                    "with --dir."
                ) from None
            raise HeldError(_holder(opened)) from None
        opened.truncate(0)
        opened.write(str(os.getpid()))
        opened.flush()
        try:
            yield
        finally:
            opened.truncate(0)


def _holder(file: IO[str]) -> str:
    """The number of the process that holds the lock, which it writes just after it has taken it."""
    deadline = time.monotonic() + _SECONDS_TO_WRITE
    while True:
        file.seek(0)
        number = file.read().strip()
        if number or time.monotonic() > deadline:
            return number or "unknown"
        time.sleep(_SECONDS_TO_WRITE / 100)


def is_held(file: Path) -> bool:
    """Whether anyone holds the lock of a file, this process included. Nobody notices the look."""
    try:
        with file.open() as opened:
            return _call(opened, fcntl.F_OFD_GETLK) != fcntl.F_UNLCK
    except OSError:  # There is none, or the disk knows no locks, and then nobody holds one.
        return False


def _call(file: IO[str], command: int) -> int:
    """The kind of lock that is in the way of one for writing, or F_UNLCK."""
    wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    answer = fcntl.fcntl(file, command, wanted)
    kind: int = struct.unpack(_FLOCK, answer)[0]
    return kind
