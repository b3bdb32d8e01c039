"""What is known of a study's trials, read from its journal."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from search.clock import Clock
from search.distributions import values_of
from spaces import Space, UserError, Value

State: TypeAlias = Literal["waiting", "running", "paused", "completed", "stopped", "failed"]

STATES: dict[TrialState, State] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
}
# Optuna's user attributes of a trial: why it failed, at which epoch it was decided to stop it, and
# at which it is paused (None where it goes on again), which Optuna has no state for.
FAILURE, STOPPED, PAUSED = "failure", "stopped", "paused"
# And one of the study: how many steps of intermediate values make an epoch, 1 where it is missing.
STEPS_PER_EPOCH = "steps_per_epoch"


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
    """Seconds since 1970."""
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


def open_journal(file: Path) -> JournalStorage:
    # Optuna's lock is a link to the path as given, and must lead there from the file's folder.
    return JournalStorage(JournalFileBackend(str(file.absolute())))


def mend_journal(file: Path) -> None:
    """Remove what a search that was killed in the middle of writing left behind: its lock, and
    half a line, after which nothing could be read. Only for who holds the study's folder."""
    Path(f"{file}.lock").unlink(missing_ok=True)
    if not file.exists():
        return
    content = file.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(file, whole)


def study_name(storage: JournalStorage) -> str | None:
    """The one study of a journal, None where it holds none yet."""
    names = optuna.get_all_study_names(storage)
    return names[0] if names else None


def record_of(trial: FrozenTrial, space: Space, clock: Clock) -> Record:
    """A stored trial as a record."""
    paused = trial.state == TrialState.RUNNING and trial.user_attrs.get(PAUSED) is not None
    return Record(
        id=trial_id(trial.number),
        values=values_of(space, trial.params),
        state="paused" if paused else STATES[trial.state],
        scores={clock.epoch(step): s for step, s in trial.intermediate_values.items()},
        failure=trial.user_attrs.get(FAILURE),
        started=trial.datetime_start.timestamp() if trial.datetime_start else None,
        ended=trial.datetime_complete.timestamp() if trial.datetime_complete else None,
    )


def read_records(journal: Path, space: Space) -> list[Record]:
    """All trials of a study that have been started, by number; reading does not disturb a search.

    Raises:
        UserError: if there is no journal or it holds no study.
    """
    if not journal.exists():
        raise UserError(f"There is no {journal}: nothing was searched there yet.")
    storage = open_journal(journal)
    name = study_name(storage)
    if name is None:
        return []
    study = optuna.load_study(study_name=name, storage=storage)
    clock = Clock(study.user_attrs.get(STEPS_PER_EPOCH, 1))
    trials = study.get_trials(deepcopy=False)
    return [record_of(t, space, clock) for t in trials if t.state != TrialState.WAITING]


def best_record(records: Sequence[Record]) -> Record | None:
    """The best trial: of those that completed, the highest last score; before any has, of those
    that got furthest. Scores of different epochs are never compared, but where the configurations
    themselves say how long they train."""
    scored = [record for record in records if record.scores and record.state != "failed"]
    if not scored:
        return None
    completed = [record for record in scored if record.state == "completed"]
    furthest = max(record.epoch for record in scored)
    peers = completed or [record for record in scored if record.epoch == furthest]
    return max(peers, key=lambda record: record.scores[record.epoch])
