"""What Ray Tune calls: a searcher and a scheduler that ask the agenda, and do no more; and its one
callback, which may not end the search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search.driver.faults import Faults
from search.driver.harmless import Harmless
from search.driver.interruption import Interruption
from search.driver.tune_private import forget_losses, live_trials
from search.driver.unsaved import Unsaved
from search.ledger.agenda import Agenda
from search.worker.run_trial import DISK, EPOCH, FAILURE, NOTE, SCORE


class LedgerScheduler(Unsaved, FIFOScheduler):  # type: ignore[misc]
    """Tells the agenda each epoch's score and stops a trial where it says so."""

    def __init__(
        self,
        agenda: Agenda,
        faults: Faults,
        interruption: Interruption,
        tell: Callable[[str], None],
        harmless: Harmless,
    ) -> None:
        super().__init__()
        self._agenda, self._faults, self._interruption = agenda, faults, interruption
        self._tell, self._harmless = tell, harmless

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """The first trial that waits. Tune's own choice looks at all trials, those that ended
        too."""
        if self._interruption.is_ending:
            return None
        live = live_trials(tune_controller)
        waiting = [trial for trial in live if trial.status == Trial.PENDING]
        return min(waiting, key=lambda trial: int(trial.config["id"]), default=None)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        with self._interruption.guarding():
            return self._heard(trial, result)
        return str(TrialScheduler.CONTINUE)

    def _heard(self, trial: Any, result: dict[str, Any]) -> str:
        ours = trial.config["id"]
        if DISK in result:
            number, why, file = result[DISK]
            raise OSError(number, why, file)
        if NOTE in result:
            self._tell(f"Trial {ours}: {result[NOTE]}.")
            return str(TrialScheduler.CONTINUE)
        if FAILURE in result:
            return str(TrialScheduler.STOP)
        if result[EPOCH] > self._agenda.records[ours].epoch:
            forget_losses(trial)
        goes_on = self._agenda.report(ours, result[EPOCH], result[SCORE])
        if self._interruption.asked:  # Its checkpoint is that of the report.
            goes_on = False
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        with self._harmless("The watch over workers"):
            self._faults.died(trial)
