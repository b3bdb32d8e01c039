"""What libraries raise on damaged files and odd texts, be they written in Python or in Rust."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from spaces.errors import UserError

_LONGEST = 200  # characters of a library's message that are passed on


@contextmanager
def failures_told(tell: Callable[[str], str], hushed: bool = False) -> Iterator[None]:
    """Makes whatever a library raises one sentence: `tell` is given what the library says.

    Args:
        hushed: a library in Rust that panics prints that on standard error first; whatever is
            printed there meanwhile goes nowhere.

    Raises:
        UserError: for what was raised, but for what asks the program to end.
    """
    try:
        if hushed:
            with _standard_error_goes_nowhere():
                yield
        else:
            yield
    except UserError:
        raise
    except BaseException as error:
        # A panic is no `Exception`, and its class cannot be imported from anywhere.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise UserError(tell(brief(error))) from error


def brief(error: object) -> str:
    """The start of a library's message, or of what comes from outside, for a sentence of ours."""
    lines = str(error).strip().splitlines()
    first = (lines[0] if lines else type(error).__name__).rstrip(".")
    return first if len(first) <= _LONGEST else f"{first[:_LONGEST]}..."


@contextmanager
def _standard_error_goes_nowhere() -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # It is closed.
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
