"""A study's log file."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import WatchedFileHandler

from search.trials.study_folder import StudyFolder

_log = logging.getLogger("ablatune")


class _LogFile(WatchedFileHandler):
    """A log that goes on at its path where somebody deletes it. One that cannot be written, on a
    disk that is full or where its folder is gone, is not worth the end of a search."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Says nothing, not even a traceback."""


@contextmanager
def logging_to(folder: StudyFolder) -> Iterator[None]:
    handler = _LogFile(folder.log, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    _log.propagate = False
    try:
        yield
    finally:
        _log.removeHandler(handler)
        with suppress(OSError):
            handler.close()


def tell_and_log(text: str) -> None:
    """Tell the user, and write it down; who wants no progress is told all the same."""
    _log.warning("%s", text)
    say(text)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
