"""Optuna alone under replay: ask, report, should_prune and tell, as its documentation shows."""

from __future__ import annotations

from collections.abc import Mapping

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from benchmarks.replay.points import default_point
from search.trials.distributions import encode, suggest
from spaces import Space, Value


class OptunaAlone:
    """A `benchmarks.replay.simulated_time.Method`. A trial that its pruner ends is told PRUNED."""

    def __init__(
        self, space: Space, sampler: BaseSampler, pruner: BasePruner, default_first: bool
    ) -> None:
        self._space = space
        self._study = optuna.create_study(sampler=sampler, pruner=pruner, direction="maximize")
        if default_first:
            self._study.enqueue_trial(encode(space, default_point(space)))
        self._trials: dict[str, optuna.Trial] = {}
        self._last: dict[str, float] = {}
        self._pruned: set[str] = set()

    def next(self) -> tuple[str, Mapping[str, Value]]:
        trial = self._study.ask()
        name = str(trial.number)
        self._trials[name] = trial
        return name, suggest(trial, self._space)

    def report(self, trial: str, epoch: int, score: float) -> bool:
        self._last[trial] = score
        self._trials[trial].report(score, epoch)
        if self._trials[trial].should_prune():
            self._pruned.add(trial)
        return trial not in self._pruned

    def end(self, trial: str) -> None:
        if trial in self._pruned:
            self._study.tell(self._trials[trial], state=TrialState.PRUNED)
        else:
            self._study.tell(self._trials[trial], self._last[trial])

    def fail(self, trial: str) -> None:
        self._study.tell(self._trials[trial], state=TrialState.FAIL)
