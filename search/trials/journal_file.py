"""A study's Optuna journal: opened, mended, read."""

from __future__ import annotations

import logging
from itertools import count
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from model import write_whole
from search.trials.attributes import FAILURE, PAUSED, STEPS_PER_EPOCH
from search.trials.distributions import values_of
from search.trials.epochs import Clock
from search.trials.journal_lines import JournalLines, ReadJournal, read_file
from search.trials.record import Record, State, trial_id
from spaces import Space, UserError

_log = logging.getLogger("ablatune")


STATES: dict[TrialState, State] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
}


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
            write_whole(file, good)
        return None
    if found.ends_early:
        raise UserError(f"{found.sentence(file)} {_how_to_go_on(file, found)}")
    copy = _beside(file)
    write_whole(copy, file.read_bytes())
    write_whole(file, good)
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


def study_name(storage: JournalStorage) -> str | None:
    """The name of the one study in a journal; None where it holds none yet."""
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
