"""The signals that ask the program to end: Ctrl-C, SIGTERM, and SIGHUP of a terminal that closes.

Nothing here needs a library: the program listens from its first moment on.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SECONDS_OF_ONE_REQUEST = 0.5


class Requests:
    """Tells a second request from the first one heard twice: `timeout` signals its command and
    then the command's whole group, and a terminal that closes does so in its own ways."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard: float | None = None

    def is_new(self) -> bool:
        """Whether the signal that has just come asks once more."""
        now = self._clock()
        if self._heard is not None and now - self._heard < _SECONDS_OF_ONE_REQUEST:
            return False
        self._heard = now
        return True


class Interrupt:
    """A handler that is Python's own for Ctrl-C, once a request."""

    def __init__(self) -> None:
        self._requests = Requests()

    def __call__(self, _number: int, _frame: Any) -> None:
        if self._requests.is_new():
            raise KeyboardInterrupt


terminate = Interrupt()
"""Any of the signals, outside of the trials' time: as Ctrl-C."""


@contextmanager
def handling(handler: Any, signals: tuple[signal.Signals, ...] = SIGNALS) -> Iterator[None]:
    """Signals handled in this way meanwhile, where they can be: in the main thread. A SIGHUP that
    is ignored stays so: that is what `nohup` is for."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, handler)
        for number in signals
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handled in before.items():
            signal.signal(number, handled)


def ignore_signals() -> None:
    """From now on to the end of the process, which is at hand."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
