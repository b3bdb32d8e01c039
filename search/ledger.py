"""The driver's one place that knows a study's trials: who is next, what was measured, who stops.

Behind it is an Optuna study in a journal, told the truth: every score is an intermediate value, a
trial that the scheduler stopped is PRUNED, one that crashed is FAIL with its reason, and only one
that had its full budget, or ended itself by early stopping, is COMPLETE, with the score of its last
epoch. The rungs are rebuilt from the same values, so that a study that goes on decides as it would
have.
"""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

import optuna
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from model import has_stalled
from search.budget import Ending, trials_of, used_up
from search.clock import Clock
from search.distributions import encode, suggest
from search.journal import SearchJournal
from search.meter import Meter
from search.records import (
    FAILURE,
    STEPS_PER_EPOCH,
    STOPPED,
    Record,
    mend_journal,
    record_of,
    study_name,
    trial_id,
)
from search.rungs import Rungs
from search.study_folder import StudyFolder
from search.tally import Tally
from spaces import StudyFile, Value

_SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True),
    "gp": lambda seed: GPSampler(seed=seed),
    "random": lambda seed: RandomSampler(seed=seed),
    "grid": lambda seed: RandomSampler(seed=seed),  # its points are all enqueued
}


optuna.logging.set_verbosity(optuna.logging.WARNING)


class Ledger:
    """`records` holds every trial that was started, by its id; `tally` what is told of them all."""

    def __init__(self, study: StudyFile, folder: StudyFolder) -> None:
        self.study, self.folder = study, folder
        self.rungs = Rungs.of(study)
        self._clock = Clock.meeting(study.search.grace_epochs)
        mend_journal(folder.journal)
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
        self.records: dict[str, Record] = {}
        self.trials = trials_of(study)
        self.meter = Meter(folder.spent, study.resources.price)
        self._handles: dict[str, optuna.Trial] = {}  # of the trials that have not ended
        self._stopped: set[str] = set()
        self._unfinished: deque[str] = deque()
        self._restore()
        self._points = self._first_points()

    def next(self) -> Record | None:
        """A trial to run: one that an earlier search left unfinished, else a new one; None while
        a budget is used up, see `search.budget`."""
        if self._unfinished:
            return self.records[self._unfinished.popleft()]
        if self.ending() is not None:
            return None
        point = None if self._journal.waiting else next(self._points, None)
        if point is not None:
            self._optuna.enqueue_trial(encode(self.study.space, point))
        self._optuna.sampler = self._sampler(len(self.records))
        trial = self._optuna.ask()
        values = suggest(trial, self.study.space)
        record = Record(trial_id(trial.number), values, "waiting")
        self.records[record.id], self._handles[record.id] = record, trial
        self.tally.add(record)
        return record

    def start(self, trial: str) -> None:
        """A worker has begun with a trial."""
        record = self.records[trial]
        record.state = "running"
        record.started = record.started or time.time()

    def report(self, trial: str, epoch: float, score: float) -> bool:
        """Keep an epoch's score; whether the trial goes on. That is decided once, when the score
        arrives: an epoch told before changes nothing."""
        record = self.records[trial]
        if epoch in record.scores:
            return trial not in self._stopped
        self.rungs.record(trial, epoch, score)
        if not self.rungs.goes_on(trial, epoch):
            self._stopped.add(trial)
            self._handles[trial].set_user_attr(STOPPED, epoch)
        record.scores[epoch] = score
        self._handles[trial].report(score, self._clock.step(epoch))
        return trial not in self._stopped

    def end(self, trial: str, failure: str | None = None) -> Record:
        """A trial ended: by failure, at its full budget or by its own early stopping, or because
        `report` said so. One that ended without any of these was interrupted, and is left for the
        next search."""
        record = self.records[trial]
        number = int(trial)
        if failure is not None:
            record.state, record.failure = "failed", failure
            self._handles[trial].set_user_attr(FAILURE, failure)
            self._optuna.tell(number, state=TrialState.FAIL)
        elif self._is_complete(record):
            record.state = "completed"
            self._optuna.tell(number, record.last_score)
        elif trial in self._stopped:
            record.state = "stopped"
            self._optuna.tell(number, state=TrialState.PRUNED)
        else:
            return record
        record.ended = time.time()
        del self._handles[trial]
        self.tally.add(record)
        return record

    def _is_complete(self, record: Record) -> bool:
        """Whether a trial has trained all that it was to: the scores tell where it ends itself."""
        if record.epoch >= self.study.epochs:
            return True
        whole = [score for epoch, score in sorted(record.scores.items()) if epoch == int(epoch)]
        return has_stalled(whole, self.study.space.config(record.values).early_stopping)

    def _sampler(self, number: int) -> BaseSampler:
        """Made anew for each trial, so that it draws the same whether or not the search was
        interrupted before it."""
        seed = self.study.search.seed * 1_000_003 + number
        return _quiet(_SAMPLERS[self.study.search.sampler], seed % 2**32)

    def ending(self) -> Ending | None:
        """The budget that is used up."""
        return used_up(self.study, self.trials, self.tally, self.meter.spent)

    def _restore(self) -> None:
        """Take over what the journal and the trials' own folders hold."""
        for stored in self._journal.all_trials():
            if stored.state == TrialState.WAITING:
                continue
            record = record_of(stored, self.study.space, self._clock)
            self.records[record.id] = record
            if record.state == "running":
                self._handles[record.id] = optuna.Trial(self._optuna, stored._trial_id)
            if STOPPED in stored.user_attrs:
                self._stopped.add(record.id)
            for epoch, score in record.scores.items():
                self.rungs.record(record.id, epoch, score)
        self.tally = Tally(self.records.values())
        for record in list(self.tally.open.values()):
            # The search may have ended before all its values were drawn; those stored stand.
            self._optuna.sampler = self._sampler(int(record.id))
            record.values = suggest(self._handles[record.id], self.study.space)
            self._catch_up(record)

    def _catch_up(self, record: Record) -> None:
        """Epochs that a trial wrote down before its report arrived, and what follows from them."""
        for row in self.folder.trial(record.id).read():
            self.report(record.id, row["epoch"], row[f"score/{self.objective}"])
        if record.id in self._stopped or self._is_complete(record):
            self.end(record.id)
        else:
            record.state = "waiting"
            self._unfinished.append(record.id)

    @property
    def objective(self) -> str:
        return self.study.search.objective

    def _first_points(self) -> Iterator[Mapping[str, Value]]:
        """What is run before the sampler is asked: of a new study the default configuration, of a
        grid all that was not run yet."""
        known = len(self._journal.all_trials())
        space = self.study.space
        if self.study.search.sampler == "grid":
            yield from islice(space.grid(), known, self.study.search.trials)
        elif known == 0 and space.free:
            default = space.config().active()
            yield {n: default[n] for n in space.free if n in default}


def _quiet(sampler: Callable[[int], BaseSampler], seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return sampler(seed)
