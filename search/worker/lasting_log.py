"""A log that goes on being written at its path, also where somebody deletes the file meanwhile."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from io import TextIOBase
from pathlib import Path


class LastingLog(TextIOBase):
    """A text file that is written line by line, and made anew where it is gone."""

    def __init__(self, path: Path) -> None:
        """Raises OSError if it cannot be opened."""
        self._path, self._is_locked = path, False
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def write(self, text: str) -> int:
        if not self._is_there():
            self._open_again()
        return self._file.write(text)

    def flush(self) -> None:
        if not self._file.closed:
            self._file.flush()

    def close(self) -> None:
        """What a full disk does not take is lost."""
        with suppress(OSError):
            self._file.close()
        super().close()

    def lock(self) -> None:
        """Raises BlockingIOError if another process has it."""
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._is_locked = True

    def _is_there(self) -> bool:
        with suppress(OSError):
            return os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        return False

    def _open_again(self) -> None:
        """Where it cannot be, the old file is written, which nobody sees."""
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("a", encoding="utf-8", buffering=1)
            if self._is_locked:
                with suppress(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            before, self._file = self._file, file
            before.close()


def show_life(log: Path) -> None:
    """Set the time of a log to now, and make it where it is gone. What stands against that does
    not matter to who writes it."""
    try:
        os.utime(log)
    except FileNotFoundError:
        with suppress(OSError):
            log.parent.mkdir(parents=True, exist_ok=True)
            log.touch()
    except OSError:
        pass
