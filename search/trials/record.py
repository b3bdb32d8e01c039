"""What is known of a study's trials, read from its journal."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from spaces import Value

_log = logging.getLogger("ablatune")

State: TypeAlias = Literal["waiting", "running", "paused", "completed", "stopped", "failed"]


@dataclass
class Record:
    """One trial. `values` are its active free factors; `scores` the objective by epoch.

    Stopped means by the scheduler, before the full budget; a completed trial has had it all, or
    has ended itself by early stopping. A paused one waits at a rung to be promoted, or stopped.
    """

    id: str
    values: Mapping[str, Value]
    state: State
    scores: dict[float, float] = field(default_factory=dict)
    failure: str | None = None
    started: float | None = None
    """When the trial started, in seconds since 1970."""
    ended: float | None = None

    @property
    def epoch(self) -> float:
        """The last epoch that was measured; 0 for none."""
        return max(self.scores, default=0)

    @property
    def last_score(self) -> float | None:
        return self.scores.get(self.epoch)

    @property
    def best_epoch(self) -> float | None:
        return max(self.scores, key=lambda epoch: self.scores[epoch]) if self.scores else None

    @property
    def best_score(self) -> float | None:
        return max(self.scores.values(), default=None)


def trial_id(number: int) -> str:
    """Optuna's trial number as the name of the trial's folder."""
    return f"{number:04d}"


Standing: TypeAlias = tuple[bool, bool, float, float]


def standing(record: Record) -> Standing:
    """What "best" means, the higher the better, wherever trials are ranked: in tables, report and
    status, and by which of them keep their weights.

    A completed trial is as good as its last score, what it had come to when its whole budget was
    spent. Its best epoch does not count: that is the luckiest of its evaluations, and who was
    evaluated more often was lucky more often. The others come after all completed ones, and of them
    only equals are compared: by how far they got, and by the score there. Failed ones are last.

    Which of a trial's epochs is used is another question: the weights that it keeps are of its
    own best epoch, as early stopping has it.
    """
    score = record.last_score
    if score is None or math.isnan(score):
        return False, record.state != "failed", 0.0, -math.inf
    completed = record.state == "completed"
    return completed, record.state != "failed", 0.0 if completed else record.epoch, score


def ranked(records: Iterable[Record]) -> list[Record]:
    """The best first, see `standing`; of equals the one that was handed out first."""
    return sorted(sorted(records, key=_number), key=standing, reverse=True)


def best_record(records: Iterable[Record]) -> Record | None:
    """The first of those `ranked` that have a score and did not fail, None where there is none."""
    best = max(sorted(records, key=_number), key=standing, default=None)
    return None if best is None or not _can_be_best(best) else best


def _can_be_best(record: Record) -> bool:
    _, has_not_failed, _, score = standing(record)
    return has_not_failed and score > -math.inf


def _number(record: Record) -> tuple[int, str]:
    """Orders ids of any length as the numbers that they are."""
    return len(record.id), record.id
