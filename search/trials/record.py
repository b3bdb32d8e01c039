"""What is known of a study's trials, read from its journal."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Literal, TypeAlias

import optuna
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from search.trials.distributions import values_of
from search.trials.epochs import Clock
from search.trials.journal_lines import JournalLines, ReadJournal, read_file
from spaces import Space, UserError, Value

_log = logging.getLogger("ablatune")

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
    """A journal for one who only reads it, as far as it is good; what is not is told in the log.

    Raises:
        UserError: if it cannot be read at all.
    """
    found = read_file(file)
    if not found.is_whole:
        _log.warning("%s", found.sentence(file))
    return JournalStorage(ReadJournal(found))


def mend_journal(file: Path) -> str | None:
    """Put right what a search that was killed, a machine that went down, or a hand from outside
    left in a journal, so that it can be written to. Only for who holds the study's folder.

    Half a last line and a lock, which a killed search leaves, just go. Of all else that is cut the
    file as it was stays beside it; a sentence says so, None where there was nothing to tell.

    Raises:
        UserError: if good lines stand behind a damage that does not let them be relied on.
    """
    Path(f"{file}.lock").unlink(missing_ok=True)
    if not file.exists():
        return None
    found = read_file(file)
    good = b"".join(found.lines)
    if found.is_whole:
        if good != file.read_bytes():
            _replace(file, good)
        return None
    if found.ends_early:
        raise UserError(f"{found.sentence(file)} {_how_to_go_on(file, found)}")
    copy = _beside(file)
    copy.write_bytes(file.read_bytes())
    _replace(file, good)
    return f"{found.sentence(file)} The file as it was: {copy}."


def _how_to_go_on(file: Path, found: JournalLines) -> str:
    lost = found.lost[0].line
    if lost == 1:
        return "Restore the file, or remove it to have the study begin anew."
    return (
        f"Put that line right, or restore the file; to go on with what stands before it: "
        f"head -n {lost - 1} {file} > {file}.good && mv {file}.good {file}"
    )


def _beside(file: Path) -> Path:
    """A name of its own for a copy of a damaged file."""
    names = (f"{file.name}.damaged{f'-{n}' if n > 1 else ''}" for n in count(1))
    return next(path for path in map(file.with_name, names) if not path.exists())


def _replace(file: Path, content: bytes) -> None:
    """Written beside, on the disk for certain, and renamed."""
    unfinished = file.with_suffix(".unfinished")
    with unfinished.open("wb") as written:
        written.write(content)
        written.flush()
        os.fsync(written.fileno())
    unfinished.replace(file)


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
