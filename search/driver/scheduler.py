"""What Ray Tune calls: a searcher and a scheduler that ask the agenda, and do no more; and its one
callback, which may not end the search."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ray.tune import Callback
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from search.driver.faults import Faults
from search.driver.harmless import Harmless
from search.driver.interruption import Interruption
from search.ledger.agenda import Agenda
from search.trials.record import Record
from search.unsaved import Unsaved
from search.worker.run_trial import DISK, EPOCH, FAILURE, NOTE, SCORE

Ended = Callable[[Record], None]


@contextmanager
def one_snapshot() -> Iterator[None]:
    """Keep Tune from writing down the state of all its trials again and again: a tenth of the
    driver's work, for what nobody reads, since the journal and the trials' folders are the truth.
    It gets the one file that it asks for at its end."""
    write = TuneController.checkpoint
    taken = False

    def checkpoint(controller: TuneController, force: bool = False, wait: bool = False) -> None:
        nonlocal taken
        if not taken:
            taken = True
            write(controller, force=True, wait=True)

    TuneController.checkpoint = checkpoint
    try:
        yield
    finally:
        TuneController.checkpoint = write


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
        if self._interruption.is_ending:  # Of None, Tune would ask again and again.
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


class Silent(Unsaved, TrialProgressCallback):  # type: ignore[misc]
    """In the place of the callback that Tune would add, which tells of some ends whatever the
    verbosity."""

    def log_result(self, *given: Any, **more: Any) -> None:
        pass

    def on_trial_complete(self, *given: Any, **more: Any) -> None:
        pass


class Bookkeeping(Unsaved, Callback):  # type: ignore[misc]
    """Tells the agenda which trials run, and has it count what is spent."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._agenda.start(trial.config["id"])

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._agenda.meter.tick()


class Hooks(Unsaved, Callback):  # type: ignore[misc]
    """Tune's one callback: asks each of several in turn, by name. What one of them raises neither
    ends the search nor keeps the others from being asked."""

    def __init__(self, callbacks: Mapping[str, Callback], harmless: Harmless) -> None:
        self._callbacks, self._harmless = callbacks, harmless

    def on_step_end(self, *given: Any, **more: Any) -> None:
        self._ask(lambda callback: callback.on_step_end(*given, **more))

    def on_trial_start(self, *given: Any, **more: Any) -> None:
        self._ask(lambda callback: callback.on_trial_start(*given, **more))

    def on_trial_recover(self, *given: Any, **more: Any) -> None:
        self._ask(lambda callback: callback.on_trial_recover(*given, **more))

    def on_experiment_end(self, *given: Any, **more: Any) -> None:
        self._ask(lambda callback: callback.on_experiment_end(*given, **more))

    def _ask(self, ask: Callable[[Callback], None]) -> None:
        for name, callback in self._callbacks.items():
            with self._harmless(name):
                ask(callback)


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
        """The first that waits. Tune's own choice looks at all trials, those that ended too."""
        if self._interruption.is_ending:
            return None
        live = tune_controller.get_live_trials()
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
            trial.run_metadata.num_failures = 0
        goes_on = self._agenda.report(ours, result[EPOCH], result[SCORE])
        if self._interruption.asked:  # Its checkpoint is that of the report.
            goes_on = False
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        with self._harmless("The watch over workers"):
            self._faults.died(trial)
