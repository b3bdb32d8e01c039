"""What only looks may not end a search."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_log = logging.getLogger("ablatune")


class Harmless:
    """Guards of views, forecasts and callbacks: whatever is raised inside is one line in the log,
    however often it comes, and whoever asked goes on without.

    >>> harmless = Harmless()
    >>> with harmless("The forecast"):
    ...     1 / 0
    """

    def __init__(self) -> None:
        self._told: set[str] = set()

    @contextmanager
    def __call__(self, what: str, but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
        """`what` names it, with a capital letter; an error of the kind `but` is passed on."""
        try:
            yield
        except but:
            raise
        except Exception as error:
            said = f"{what} failed, and all else goes on without: {_described(error)}."
            if said not in self._told:
                self._told.add(said)
                _log.warning("%s", said)


def _described(error: Exception) -> str:
    """On one line: what was raised, and where in our code or in a library."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text} ({Path(last.filename).name}, line {last.lineno})"
