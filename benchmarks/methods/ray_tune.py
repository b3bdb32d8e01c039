"""Ray Tune's own searcher and scheduler under replay: OptunaSearch and ASHAScheduler.

They are called as `ray.tune.execution.tune_controller.TuneController` calls them: the scheduler
decides on a result; the searcher hears of it, or, where the trial stops, of its completion with
that result.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import optuna
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.replay.points import default_point
from search.trials.distributions import encode, suggest, values_of
from spaces import Space, Value


def define(trial: optuna.Trial, space: Space) -> None:
    """Optuna's define-by-run space: what `suggest` asks for is the trial's configuration."""
    suggest(trial, space)


class RayTune:
    """A `benchmarks.replay.simulated_time.Method`."""

    def __init__(
        self, space: Space, epochs: int, reduction_factor: int, seed: int, default_first: bool
    ) -> None:
        self._space = space
        self._searcher = OptunaSearch(
            partial(define, space=space),
            metric="score",
            mode="max",
            points_to_evaluate=[encode(space, default_point(space))] if default_first else None,
            seed=seed,
        )
        self._scheduler = ASHAScheduler(
            metric="score", mode="max", max_t=epochs, reduction_factor=reduction_factor
        )
        self._trials: dict[str, Trial] = {}

    def next(self) -> tuple[str, Mapping[str, Value]]:
        name = f"{len(self._trials):06d}"
        parameters = self._searcher.suggest(name)
        trial = Trial("replayed", trial_id=name, config=parameters, stub=True)
        self._trials[name] = trial
        self._scheduler.on_trial_add(None, trial)
        return name, values_of(self._space, parameters)

    def report(self, trial: str, epoch: int, score: float) -> bool:
        result: dict[str, Any] = {"training_iteration": epoch, "score": score}
        decision = self._scheduler.on_trial_result(None, self._trials[trial], result)
        if decision == TrialScheduler.STOP:
            self._scheduler.on_trial_complete(None, self._trials[trial], result)
            self._searcher.on_trial_complete(trial, result=result)
            return False
        self._searcher.on_trial_result(trial, result)
        return True

    def end(self, trial: str) -> None:
        """ASHA stops a trial at its full budget as at any rung: `report` has told all."""

    def fail(self, trial: str) -> None:
        self._scheduler.on_trial_error(None, self._trials[trial])
        self._searcher.on_trial_complete(trial, error=True)
