"""The driver's one place that knows a study's trials: who is next, what was measured, who stops.

Behind it is an Optuna study in a journal, told the truth: every score is an intermediate value, a
trial that the scheduler stopped is PRUNED, one that crashed is FAIL with its reason, and only one
that had its full budget, or ended itself by early stopping, is COMPLETE, with the score of its last
epoch. The rungs are rebuilt from the same values, so that a study that goes on decides as it would
have.

A trial is handed out for a stretch of work: all of it, or, under promotion, as far as the next
rung, where it pauses until it is promoted and handed out again. Where it stands is one value, its
`search.ledger.open_trial.Stage`.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from model import has_stalled
from search.ledger.budget import Ending, used_up
from search.ledger.earlier_trials import Earlier
from search.ledger.meter import Meter
from search.ledger.open_trial import OpenTrial
from search.ledger.proposals import Proposals
from search.ledger.search_journal import SearchJournal
from search.trials.attributes import FAILURE, PAUSED, PROMOTED, STEPS_PER_EPOCH, STOPPED
from search.trials.epochs import Clock
from search.trials.journal_file import STATES, mend_journal, record_of, study_name
from search.trials.optuna_private import stored_id
from search.trials.record import Record, trial_id
from search.trials.rungs import Rungs
from search.trials.study_folder import StudyFolder
from search.trials.tally import Tally
from spaces import StudyFile

_log = logging.getLogger("ablatune")

# Its warnings are of what was decided here, or of packages that it would be faster with.
optuna.logging.set_verbosity(optuna.logging.ERROR)


class Ledger:
    """The `search.ledger.agenda.Agenda` of a search.

    `records` holds every trial that was started, by its id; `tally` what is told of them all;
    `earlier` what was taken over from other studies.
    """

    def __init__(self, study: StudyFile, folder: StudyFolder) -> None:
        self.study, self.folder = study, folder
        self.rungs = Rungs.of(study)
        self._pauses = study.search.scheduler == "promotion"
        self._clock = Clock.of(study)
        self.mended = mend_journal(folder.journal)
        """What the user should know of a journal that had been damaged."""
        self._journal = storage = SearchJournal(folder.journal)
        # A folder's own study.toml may go on with it, and so may a file with another name.
        known = study_name(storage)
        self._optuna = (
            optuna.create_study(study_name=study.name, storage=storage, direction="maximize")
            if known is None
            else optuna.load_study(study_name=known, storage=storage)
        )
        if self._clock != Clock():
            self._optuna.set_user_attr(STEPS_PER_EPOCH, self._clock.steps_per_epoch)
        self.earlier = Earlier.of(study, folder)
        self._journal.show_earlier(self.earlier.trials(study.space, self._clock))
        self._proposals = Proposals(study, self._optuna, storage, self.earlier.best())
        self.records: dict[str, Record] = {}
        self.trials = study.trials
        self.meter = Meter(folder.spent, study.resources.price)
        self._open: dict[str, OpenTrial] = {}  # unfinished ones as they were handed out
        self._promotions = 0
        self._restore()

    @property
    def notes(self) -> Sequence[str]:
        """What was put right in the journal, and what was taken over."""
        earlier = self.earlier.describe() if self.study.search.start_from else None
        return [note for note in (self.mended, earlier) if note]

    def next(self) -> Record | None:
        """A trial to run: one that an earlier search left unfinished, else the paused one that is
        to be promoted, else a new one; None while there is none: a budget is used up, see
        `search.ledger.budget`. Where nothing runs then, the study has come to its end: see
        `close`."""
        for trial in self._open.values():
            if trial.stage == "unfinished":
                trial.enter("handed out")
                return trial.record
        if self._out_of_budget():
            return None
        paused = self._paused()
        promoted = self.rungs.promotable(paused) if paused else None
        if promoted is None and self.ending() is not None:
            promoted = self._left_alone(paused)
            if promoted is None:
                return None
        return self._new() if promoted is None else self._promote(promoted)

    def close(self) -> list[Record]:
        """Count the paused trials as stopped. It is called where `next` gives None and nothing
        runs, so that they will not go on any more."""
        return [self._end(self.records[trial], TrialState.PRUNED) for trial in self._paused()]

    def _paused(self) -> dict[str, float]:
        """The rungs at which trials are paused."""
        if not self._pauses:
            return {}
        return {
            name: trial.pauses_at
            for name, trial in self._open.items()
            if trial.stage == "paused" and trial.pauses_at is not None
        }

    def _new(self) -> Record:
        trial, values = self._proposals.next(len(self.records))
        record = Record(trial_id(trial.number), values, "waiting")
        if aside := self.folder.set_aside(record.id):
            _log.warning(
                "trial %s: its folder was of a trial that the journal does not know; see %s",
                record.id,
                aside,
            )
        self.records[record.id] = record
        self._open[record.id] = OpenTrial(record, trial, "handed out")
        self.tally.add(record)
        return record

    def _promote(self, name: str) -> Record:
        trial = self._open[name]
        trial.handle.set_user_attr(PROMOTED, [len(self.records), self._promotions])
        trial.handle.set_user_attr(PAUSED, None)
        self._promotions += 1
        trial.enter("handed out")
        return trial.record

    def _left_alone(self, paused: dict[str, float]) -> str | None:
        """The trial that goes on to the end because nothing else is left to do and none has
        completed: the paused one that got furthest. With so few trials the upper rungs have too few
        values to promote any. None where something else is left to do."""
        if len(self._open) > len(paused) or self.tally.counts["completed"]:
            return None
        return self.rungs.leader(paused)

    def start(self, trial: str) -> None:
        """A worker has begun with a trial, or begun anew; what was decided of it stands."""
        known = self._open[trial]
        if not known.is_decided:
            known.enter("running")
        record = known.record
        record.started = record.started or time.time()

    def report(self, trial: str, epoch: float, score: float) -> bool:
        """Keep an epoch's score; whether the trial goes on. That is decided once, when the score
        arrives: an epoch told before changes nothing."""
        known = self._open[trial]
        record, handle = known.record, known.handle
        if epoch not in record.scores:
            record.scores[epoch] = score
            self.rungs.record(trial, epoch, score)
            if not self._pauses and not self.rungs.goes_on(trial, epoch):
                known.enter("stopping")
                handle.set_user_attr(STOPPED, epoch)
            elif self._is_to_pause(record):
                known.enter("pausing", epoch)
                handle.set_user_attr(PAUSED, epoch)
            step = self._clock.step(epoch)
            handle.report(score, step)
            if self._pauses and epoch in self.rungs.levels:
                self._journal.show_as_stopped(stored_id(handle), step)
        return not known.is_decided

    def _is_to_pause(self, record: Record) -> bool:
        """Whether a trial is to pause here: it does at each rung, but where the worker that gets
        free would go on with this same trial."""
        if not self._pauses or record.epoch not in self.rungs.levels or self._is_complete(record):
            return False
        paused = {**self._paused(), record.id: record.epoch}
        return self._out_of_budget() or self.rungs.promotable(paused) != record.id

    def end(self, trial: str, failure: str | None = None) -> Record:
        """A trial's stretch of work ended: by failure, at its full budget or by its own early
        stopping, or because `report` said so. One that ended without any of these was interrupted,
        and is left for the next search."""
        known = self._open[trial]
        record = known.record
        if failure is not None:
            record.failure = failure
            known.handle.set_user_attr(FAILURE, failure)
            return self._end(record, TrialState.FAIL)
        if self._is_complete(record):
            return self._end(record, TrialState.COMPLETE)
        if known.stage == "stopping":
            return self._end(record, TrialState.PRUNED)
        if known.stage == "pausing":
            known.enter("paused", known.pauses_at)
            self._open[trial] = self._open.pop(trial)  # The paused ones are in order of pausing.
        return record

    def _end(self, record: Record, state: TrialState) -> Record:
        values = [record.scores[record.epoch]] if state == TrialState.COMPLETE else None
        stored = stored_id(self._open[record.id].handle)
        self._journal.set_trial_state_values(stored, state, values)
        del self._open[record.id]
        record.state, record.ended = STATES[state], time.time()
        self.tally.add(record)
        return record

    def _is_complete(self, record: Record) -> bool:
        """Whether a trial has trained all that it was to: the scores tell where it ends itself."""
        if record.epoch >= self.study.epochs:
            return True
        whole = [score for epoch, score in sorted(record.scores.items()) if epoch == int(epoch)]
        patience = {**self.study.space.fixed, **record.values}["early_stopping"]
        return has_stalled(whole, patience)

    def ending(self) -> Ending | None:
        """The budget that is used up, with what was used; None while every budget allows a new
        trial."""
        return used_up(self.study, self.tally, self.meter.spent)

    def _out_of_budget(self) -> bool:
        """Whether paused trials may not go on either: that takes no more trials, but more of all
        else."""
        ending = self.ending()
        return ending is not None and ending.budget != "trials"

    def _restore(self) -> None:
        """Take over what the journal and the trials' own folders hold."""
        left: list[FrozenTrial] = []
        for stored in self._journal.all_trials():
            if stored.state == TrialState.WAITING:
                continue
            record = record_of(stored, self.study.space, self._clock)
            self.records[record.id] = record
            if stored.state.is_finished():
                self._proposals.had(record.values)
            else:
                left.append(stored)
            if PROMOTED in stored.user_attrs:
                self._promotions = max(self._promotions, stored.user_attrs[PROMOTED][1] + 1)
            for epoch, score in record.scores.items():
                self.rungs.record(record.id, epoch, score)
        self.tally = Tally(self.records.values())
        for stored in sorted(left, key=_turn):
            self._take_over(stored, optuna.Trial(self._optuna, stored_id(stored)))

    def _take_over(self, stored: FrozenTrial, handle: optuna.Trial) -> None:
        """A trial that has not ended."""
        record = self.records[trial_id(stored.number)]
        record.values = self._proposals.again(handle)
        self._proposals.had(record.values)
        known = self._open[record.id] = OpenTrial(record, handle, "unfinished")
        if self._pauses and (rungs := record.scores.keys() & {*self.rungs.levels}):
            self._journal.show_as_stopped(stored_id(stored), self._clock.step(max(rungs)))
        pauses_at = stored.user_attrs.get(PAUSED)
        if pauses_at is not None and pauses_at in record.scores:
            known.enter("paused", pauses_at)
            return
        known.enter("stopping" if STOPPED in stored.user_attrs else "unfinished")
        for row in self.folder.trial(record.id).read():  # Some may have been written, not reported.
            epoch, score = row["epoch"], row.get(f"score/{self.objective}")
            is_report = epoch == self._clock.epoch(self._clock.step(epoch))
            if score is not None and is_report and epoch <= self.study.epochs:
                self.report(record.id, epoch, score)
        if known.stage != "unfinished" or self._is_complete(record):
            self.end(record.id)

    @property
    def objective(self) -> str:
        return self.study.search.objective


def _turn(trial: FrozenTrial) -> tuple[float, float]:
    """A key that sorts trials in the order in which they were last handed out: a promoted one
    before the next new one."""
    started, promotions = trial.user_attrs.get(PROMOTED, (trial.number, math.inf))
    return started, promotions
