"""A watch over the head of the Ray cluster, which keeps the search's process from ending unsaid.

Where the head is gone, Ray waits for a minute and then ends the process that uses it, from C++ and
with a line of its own. Before that, the search ends with a sentence; where it hangs in a call of
Ray's, which hears nothing, this thread says it and ends the process.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import ray

_log = logging.getLogger("ablatune")

_RAYS_LIMIT = "RAY_gcs_rpc_server_reconnect_timeout_s"
_SECONDS_BETWEEN_LOOKS = 2.0
_SECONDS_TO_CONNECT = 5.0
_SECONDS_AHEAD = 8.0  # of Ray's own end of the process


class HeadWatch:
    """Whether the head answers. A short silence is none: a head that is made for it starts again.

    Args:
        address: HOST:PORT of the head.
        seconds: after how long a silence Ray ends this process.
        answers: asks the head.
        end: ends this process.
    """

    def __init__(
        self,
        address: str,
        seconds: float,
        answers: Callable[[], bool],
        end: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = address
        self.is_lost = False
        """Whether the search has to end, for which there is still time."""
        self.left: list[Path] = []
        """Files and folders that are removed too where the process is ended from here."""
        self._seconds, self._answers, self._end, self._clock = seconds, answers, end, clock
        self._silent_since: float | None = None

    @property
    def is_silent(self) -> bool:
        return self._silent_since is not None

    @property
    def sentence(self) -> str:
        return (
            f"The head of the Ray cluster, {self.address}, does not answer any more, so the search "
            "cannot go on. Once there is a cluster, the same command goes on from here."
        )

    def look(self) -> None:
        """Ask once, and do what is due."""
        now = self._clock()
        if self._answers():
            self._silent_since = None
            return
        if self._silent_since is None:
            self._silent_since = now
        silence = self._clock() - self._silent_since
        self.is_lost = self.is_lost or silence >= self._seconds / 2
        if silence >= self._seconds - _SECONDS_AHEAD:
            self._end()


@contextmanager
def watched_head() -> Iterator[HeadWatch]:
    """Look after the head of the cluster that is up, in a thread of its own."""
    address = ray.get_runtime_context().gcs_address
    try:
        seconds = float(os.environ.get(_RAYS_LIMIT, ""))
    except ValueError:
        seconds = 60.0
    watch = HeadWatch(address, seconds, lambda: _answers(address), lambda: _end(watch))
    over = threading.Event()

    def keep_looking() -> None:
        while not over.wait(_SECONDS_BETWEEN_LOOKS):
            watch.look()

    thread = threading.Thread(target=keep_looking, name="head watch", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with suppress(OSError):
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_CONNECT).close()
        return True
    return False


def _end(watch: HeadWatch) -> NoReturn:
    """End this process though its main thread hangs in a call that returns to nobody."""
    with suppress(Exception):
        _log.error("%s", watch.sentence)
        shown = "\x1b[?25h\n" if sys.stderr.isatty() else ""  # the cursor, which a view has hidden
        print(f"{shown}error: {watch.sentence}", file=sys.stderr, flush=True)
    for path in watch.left:
        with suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    os._exit(1)
