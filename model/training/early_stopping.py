"""Early stopping: when a trial ends by its own decision."""

from __future__ import annotations

from collections.abc import Sequence


def has_stalled(scores: Sequence[float], patience: int) -> bool:
    """Whether each of the last `patience` epochs failed to better the best score before it.

    `scores` has one number for each whole epoch, higher is better; a patience of 0 never ends
    (Prechelt 1998, Early Stopping - But When?, criterion UP without strips).
    """
    if patience == 0 or not scores:
        return False
    return len(scores) - 1 - scores.index(max(scores)) >= patience
