"""The journal of a study as its one search writes it, in time that does not grow with its trials.

The lines are Optuna's own, so that anyone may read them, at any time, as Optuna reads a journal.
Who writes them holds the study's folder: no lock file is needed, and no reading back.
"""

from __future__ import annotations

import copy
import errno
import json
import logging
import os
import weakref
from bisect import bisect_left, insort
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial, TrialState

from model import append_whole
from search.trials.journal_lines import read_lines
from search.trials.optuna_private import stored_id, stored_study_id

_log = logging.getLogger("ablatune")

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
        self._standings: dict[int, _Standing] = {}  # by number
        self._ranked: list[tuple[_Standing, int]] = []  # ascending, with the number
        self._latest: list[int] = []  # numbers, ascending
        self._ended: dict[int, FrozenTrial] = {}  # by number
        self._shown: list[FrozenTrial] | None = None  # what samplers see; None where not known yet
        self._open: dict[int, None] = {}  # ids of trials that wait or run, in order
        self._waiting: set[int] = set()  # ids
        for trial in self.all_trials():
            if trial.state.is_finished():
                self._end(trial)
            else:
                self._open[stored_id(trial)] = None
                if trial.state == TrialState.WAITING:
                    self._waiting.add(stored_id(trial))

    def all_trials(self) -> list[FrozenTrial]:
        """Every trial, by number."""
        read = super().get_all_trials
        return [t for study in self.get_all_studies() for t in read(stored_study_id(study), False)]

    @property
    def waiting(self) -> bool:
        """Whether a trial is enqueued."""
        return bool(self._waiting)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The trials that a sampler is to see, by number."""
        if states == (TrialState.WAITING,) and not self._waiting:
            return []  # which is asked for with every new trial
        if self._shown is None:
            best = {number for _, number in self._ranked[-_BEST:]}
            self._shown = [self._ended[n] for n in sorted(best | {*self._latest[-_LATEST:]})]
        under_way = [self.get_trial(id) for id in self._open]
        others = [trial for trial in under_way if trial.number not in self._ended]
        shown = sorted([*self._shown, *others], key=lambda trial: trial.number)
        return [trial for trial in shown if states is None or trial.state in states]

    def show_earlier(self, trials: Iterable[FrozenTrial]) -> None:
        """Show ended trials of other studies too, which have numbers below 0, the latest -1."""
        for trial in trials:
            self._end(trial)

    def show_as_stopped(self, trial_id: int, step: int) -> None:
        """Show a trial that has not ended as one that was stopped at a step, until it ends or this
        is said of it again: what the sampler learns from is what was measured."""
        shown = copy.copy(self.get_trial(trial_id))
        shown.state = TrialState.PRUNED
        shown.intermediate_values = {
            s: value for s, value in shown.intermediate_values.items() if s <= step
        }
        self._end(shown)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        created = super().create_new_trial(study_id, template_trial)
        self._open[created] = None
        if template_trial is not None and template_trial.state == TrialState.WAITING:
            self._waiting.add(created)
        return created

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        changed = super().set_trial_state_values(trial_id, state, values)
        self._waiting.discard(trial_id)
        if state.is_finished():
            del self._open[trial_id]
            self._end(self.get_trial(trial_id))
        return changed

    def _end(self, trial: FrozenTrial) -> None:
        self._shown = None
        number = trial.number
        if number in self._ended:
            del self._ended[number]
            del self._latest[bisect_left(self._latest, number)]
            ranked = self._standings.pop(number), number
            del self._ranked[bisect_left(self._ranked, ranked)]
        if trial.state != TrialState.FAIL:
            self._ended[number] = trial
            insort(self._latest, number)
            self._standings[number] = _standing(trial)
            insort(self._ranked, (self._standings[number], number))


_Standing = tuple[bool, int, float]


def _standing(trial: FrozenTrial) -> _Standing:
    """A key that sorts trials as TPE ranks them, the best last: completed ones by value, and below
    them the others by how far they got and the value there."""
    step = trial.last_step
    if trial.state == TrialState.COMPLETE:
        return (True, 0, trial.value or 0.0)
    return (False, -1, 0.0) if step is None else (False, step, trial.intermediate_values[step])


class _Writer(BaseJournalBackend):
    """Appends each line with one write and keeps it until it is asked for: a line is in the file,
    whatever becomes of this process, before anything follows from it.

    What others append meanwhile (a note in Optuna's dashboard, a slip of the hand) is taken up
    where it is a good line, and else cut before anything is written behind it.
    """

    def __init__(self, file: Path) -> None:
        self._path, self._name = file, str(file)
        self._file = file.open("ab", buffering=0)
        self._inode = os.fstat(self._file.fileno()).st_ino
        weakref.finalize(self, self._file.close)
        content = file.read_bytes()
        found = read_lines(content)
        if b"".join(found.lines) != content:
            raise RuntimeError("a journal is mended before it is written to")
        self._end, self._known = len(content), found.known
        self._unread: list[dict[str, Any]] = found.logs

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        unread, self._unread = self._unread, []
        return unread

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self._take_up_others()
        self._append([json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs])

    def _append(self, lines: list[bytes]) -> None:
        content = b"".join(lines)
        append_whole(self._file, content)
        self._end += len(content)
        for line in lines:
            log = json.loads(line)
            self._known.note(log, line)
            self._unread.append(log)

    def _take_up_others(self) -> None:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            there = None
        if there is None or there.st_ino != self._inode or there.st_size < self._end:
            why = "it was replaced or cut while the search ran"
            raise OSError(errno.ESTALE, why, self._name)
        if there.st_size == self._end:
            return
        with self._path.open("rb") as file:
            file.seek(self._end)
            content = file.read()
        found = read_lines(content, copy.deepcopy(self._known))
        if b"".join(found.lines) != content:
            cut = self._path.with_name(f"{self._path.name}.cut")
            with cut.open("ab") as file:
                file.write(content)
            _log.warning("%s: what is no line of it was cut from its end; see %s", self._path, cut)
        os.truncate(self._path, self._end)
        self._append(found.lines)
