"""How many examples a property is tried with."""

from __future__ import annotations

import os

_TIMES = int(os.environ.get("ABLATUNE_TEST_EXAMPLES", "1"))


def tries(number: int) -> int:
    """This many, or, where ABLATUNE_TEST_EXAMPLES is set as `make soak` does, that many times as
    many."""
    return number * _TIMES
