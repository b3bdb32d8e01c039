"""The journal of a study as its one search writes it, in time that does not grow with its trials.

The lines are Optuna's own, so that anyone may read them, at any time, as Optuna reads a journal.
Who writes them holds the study's folder: no lock file is needed, and no reading back.
"""

from __future__ import annotations

import json
import weakref
from bisect import insort
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from model import append_whole

_BEST = 25  # as many as TPE ever takes for the good ones
_LATEST = 250


class SearchJournal(JournalStorage):
    """Shows the sampler, of the trials that ended, only the 25 best and the 250 latest.

    TPE models a tenth of the trials as good ones, and 25 where there are more: these are the ones
    that it would take of all. The others it weighs down the older they are; here they weigh
    nothing from the 251st on. Which they are depends on nothing but the trials that have ended, so
    that a search that was interrupted goes on as it would have.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(_Writer(file))
        self._best: list[tuple[tuple[bool, int, float], int]] = []  # ascending, with the number
        self._latest: list[int] = []  # numbers of trials, ascending
        self._ended: dict[int, FrozenTrial] = {}  # of those two, by number
        self._open: dict[int, None] = {}  # ids of trials that wait or run, in order
        for trial in self.all_trials():
            if trial.state.is_finished():
                self._end(trial)
            else:
                self._open[trial._trial_id] = None

    def all_trials(self) -> list[FrozenTrial]:
        """Every trial, by number."""
        read = super().get_all_trials
        return [t for study in self.get_all_studies() for t in read(study._study_id, False)]

    @property
    def waiting(self) -> bool:
        """Whether a trial is enqueued."""
        return any(self.get_trial(number).state == TrialState.WAITING for number in self._open)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """What a sampler is to see, by number."""
        shown = [*self._ended.values(), *map(self.get_trial, self._open)]
        shown.sort(key=lambda trial: trial.number)
        return [trial for trial in shown if states is None or trial.state in states]

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        created = super().create_new_trial(study_id, template_trial)
        self._open[created] = None
        return created

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        changed = super().set_trial_state_values(trial_id, state, values)
        if state.is_finished():
            del self._open[trial_id]
            self._end(self.get_trial(trial_id))
        return changed

    def _end(self, trial: FrozenTrial) -> None:
        if trial.state == TrialState.FAIL:
            return
        self._ended[trial.number] = trial
        insort(self._latest, trial.number)
        insort(self._best, (_standing(trial), trial.number))
        left = self._best.pop(0)[1] if len(self._best) > _BEST else None
        old = self._latest.pop(0) if len(self._latest) > _LATEST else None
        for number in (left, old):
            if number is not None and not self._is_shown(number):
                self._ended.pop(number, None)

    def _is_shown(self, number: int) -> bool:
        return number >= self._latest[0] or any(number == best for _, best in self._best)


def _standing(trial: FrozenTrial) -> tuple[bool, int, float]:
    """What TPE ranks by, the best highest: completed ones by value, then the others by how far
    they got and the value there."""
    step = trial.last_step
    if trial.state == TrialState.COMPLETE:
        return (True, 0, trial.value or 0.0)
    return (False, -1, 0.0) if step is None else (False, step, trial.intermediate_values[step])


class _Writer(BaseJournalBackend):
    """Appends each line with one write and keeps it until it is asked for: a line is in the file,
    whatever becomes of this process, before anything follows from it."""

    def __init__(self, file: Path) -> None:
        self._stored = JournalFileBackend(str(file))
        self._file = file.open("ab", buffering=0)
        weakref.finalize(self, self._file.close)
        self._pending: list[dict[str, Any]] | None = None  # None before the file has been read

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        if self._pending is None:
            self._pending = []
            return self._stored.read_logs(log_number_from)
        unread, self._pending = self._pending, []
        return unread

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        if self._pending is None:
            raise RuntimeError("a journal is read before it is written to")
        lines = [json.dumps(log, separators=(",", ":")) + "\n" for log in logs]
        append_whole(self._file, "".join(lines).encode())
        self._pending += map(json.loads, lines)
