"""Ray Tune's searcher, which hands out the trials of the study."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from search.driver.faults import Faults
from search.driver.interruption import Interruption
from search.driver.unsaved import Unsaved
from search.ledger.agenda import Agenda
from search.trials.record import Record
from search.worker.run_trial import FAILURE, SCORE

Ended = Callable[[Record], None]


class LedgerSearcher(Unsaved, Searcher):  # type: ignore[misc]
    """Hands out an agenda's trials and tells it how they ended."""

    def __init__(
        self, agenda: Agenda, ended: Ended, faults: Faults, interruption: Interruption
    ) -> None:
        super().__init__(metric=SCORE, mode="max")
        self._agenda, self._ended = agenda, ended
        self._faults, self._interruption = faults, interruption
        self._concurrent = agenda.study.resources.concurrent
        self._running: dict[str, str] = {}  # Tune's id -> ours

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if self._interruption.is_ending:  # If the answer was None, Tune would ask again and again.
            return str(Searcher.FINISHED)
        if self._concurrent is not None and len(self._running) >= self._concurrent:
            return None
        record = None
        with self._interruption.guarding():
            record = self._agenda.next()
            if record is None and not self._running:
                for stopped in self._agenda.close():
                    self._ended(stopped)
        if record is None:
            # One that runs may make room for a paused one, or better the best.
            waits = self._running and not self._interruption.is_ending
            return None if waits else str(Searcher.FINISHED)
        self._running[trial_id] = record.id
        return {"id": record.id, "values": dict(record.values)}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        trial = self._running.pop(trial_id)
        failure = self._faults.reason(trial) if error else (result or {}).get(FAILURE)
        self._faults.end(trial)
        if self._interruption.broken is None:
            with self._interruption.guarding():
                self._ended(self._agenda.end(trial, failure))

    def save(self, checkpoint_path: str) -> None: ...

    def restore(self, checkpoint_path: str) -> None: ...
