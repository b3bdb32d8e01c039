"""Standard error that may go away while the program has more to do than to talk."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class LastingStream:
    """A stream that swallows what nobody can read any more: the terminal was closed, or Ctrl-C
    ended the `tee` that was reading. Trials have to save themselves all the same."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return int(self._stream.write(text))
        except OSError:
            self._give_up()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._give_up()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _give_up(self) -> None:
        """What is buffered goes nowhere, and so does what Python writes at its end."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        with suppress(OSError):
            self._stream.flush()


@contextmanager
def lasting_standard_error() -> Iterator[None]:
    """`sys.stderr` as a `LastingStream` meanwhile."""
    before = sys.stderr
    sys.stderr = LastingStream(before)
    try:
        yield
    finally:
        sys.stderr = before
