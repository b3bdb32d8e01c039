"""What a journal says of a study and its trials that Optuna has no word for: user attributes."""

from __future__ import annotations

import math
from collections.abc import Callable

FAILURE = "failure"
"""Of a trial: why it failed."""
STOPPED = "stopped"
"""Of a trial: the epoch at which it was decided to stop it."""
PAUSED = "paused"
"""Of a trial: the epoch at which it is paused, None where it goes on again."""
PROMOTED = "promoted"
"""Of a trial: how many trials had been started before it was promoted, and how many promotions
there had been."""
STEPS_PER_EPOCH = "steps_per_epoch"
"""Of a study: how many steps of intermediate values make an epoch, 1 where it is missing."""


def is_sound(name: str, value: object) -> bool:
    """Whether an attribute's value is one that a search writes; of others' attributes every one."""
    check = _SOUND.get(name)
    return check is None or check(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9


def _is_epoch(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value > 0  # type: ignore[arg-type, operator]


_SOUND: dict[str, Callable[[object], bool]] = {
    FAILURE: lambda value: isinstance(value, str),
    STOPPED: _is_epoch,
    PAUSED: lambda value: value is None or _is_epoch(value),
    PROMOTED: lambda value: (
        isinstance(value, list) and len(value) == 2 and all(map(_is_count, value))
    ),
    STEPS_PER_EPOCH: lambda value: _is_count(value) and value != 0,
}
