"""How running trials learn that they shall end, and show that they live."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search.worker.lasting_log import show_life

_SECONDS_BETWEEN_SIGNS = 1.0


class EndRequest:
    """The driver's word to the workers of all nodes: a file in the study's folder that is empty
    until they shall end. It is there as long as a search runs, since a shared disk may take a
    minute to show that a file is new, but shows at once what is in one."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @contextmanager
    def possible(self) -> Iterator[None]:
        """Keep the request's file in the study's folder while a search runs: it is empty at first,
        and removed in the end."""
        self._file.write_bytes(b"")
        try:
            yield
        finally:
            self._file.unlink(missing_ok=True)

    def make(self) -> None:
        self._file.write_text("save and end\n", encoding="utf-8")

    @property
    def is_made(self) -> bool:
        try:
            return bool(self._file.read_bytes())
        except OSError:  # The search has ended, or the file is not to be had for a moment.
            return False


class Pulse:
    """What a training calls all the time: it shows in the time of the trial's log that the trial
    lives, and says whether it shall end."""

    def __init__(self, request: EndRequest, log: Path) -> None:
        self._request, self._log = request, log
        self._last, self._is_asked = 0.0, False

    def __call__(self) -> bool:
        now = time.monotonic()
        if now - self._last >= _SECONDS_BETWEEN_SIGNS:
            self._last = now
            show_life(self._log)
            self._is_asked = self._request.is_made
        return self._is_asked
