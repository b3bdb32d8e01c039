"""A trial that has not ended, as a search's ledger knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import optuna

from search.trials.record import Record, State

Stage: TypeAlias = Literal["unfinished", "handed out", "running", "stopping", "pausing", "paused"]
"""Where such a trial stands. Unfinished is what an earlier search left; stopping and pausing are
those of which it is decided, while their workers have not ended yet."""

_SHOWN: dict[Stage, State] = {
    "unfinished": "waiting",
    "handed out": "waiting",
    "running": "running",
    "stopping": "running",
    "pausing": "running",
    "paused": "paused",
}


@dataclass
class OpenTrial:
    """`stage` is all there is to know of where it stands; its record shows that, and `pauses_at` is
    the epoch of one that pauses or is paused."""

    record: Record
    handle: optuna.Trial
    stage: Stage
    pauses_at: float | None = None

    def enter(self, stage: Stage, pauses_at: float | None = None) -> None:
        self.stage, self.record.state = stage, _SHOWN[stage]
        self.pauses_at = pauses_at

    @property
    def is_decided(self) -> bool:
        """Whether its worker is to end this stretch of work."""
        return self.stage in ("stopping", "pausing")
