"""Makes the sampler that a study file names: Optuna's random sampler, its TPE made faster, or
ours."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from search.sampler.curve_sampler import CurveSampler
from search.trials.optuna_private import OpenTPESampler, SearchSpaceGroup, trials_of
from spaces import StudyFile

_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


def make_sampler(study: StudyFile) -> Callable[[int], BaseSampler]:
    """A function from a trial's own seed to the sampler that proposes its configuration. The
    sampler draws what one made anew with this seed would draw, so that a search that was
    interrupted goes on as it would have."""
    if study.sampler == "gp":
        return CurveSampler(study).seeded
    if study.sampler == "tpe":
        return parzen_estimators().seeded
    return lambda seed: RandomSampler(seed=seed)  # the points of a grid are all enqueued


def parzen_estimators() -> ParzenEstimators:
    """TPE, multivariate and grouped: it learns from pruned trials too, ranked by how far they
    got."""
    with _experimental():
        return ParzenEstimators(multivariate=True, group=True, constant_liar=True)


class ParzenEstimators(OpenTPESampler):
    """Optuna's TPE, with the same proposals in less time: the parameters of a trial that has ended
    are turned into numbers once, because they do not change any more."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._known: dict[int, dict[str, float]] = {}  # ended trials' parameters as numbers

    def seeded(self, seed: int) -> ParzenEstimators:
        """This sampler, which now draws what a new one with this seed would draw."""
        self.seed_anew(seed)
        return self

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The groups of parameters that always come together. A set of parameters that was met
        before splits nothing any more."""
        group, met = SearchSpaceGroup(), set()
        for ended in trials_of(study, _ENDED):
            names = tuple(ended.distributions)
            if names not in met:
                met.add(names)
                group.add_distributions(ended.distributions)
        self.decompose_into(group)
        return {
            name: distribution
            for space in group.search_spaces
            for name, distribution in sorted(space.items())
            if not distribution.single()
        }

    def parameters_as_numbers(
        self,
        trials: list[FrozenTrial],
        search_space: dict[str, BaseDistribution],
        study: optuna.Study,
    ) -> dict[str, np.ndarray]:
        """The trials' values of the parameters, as numbers; of those that have them all."""
        rows = []
        for trial in trials:
            row = self._numbers(trial) if trial.state.is_finished() else {}
            if not row:
                drawn = self.parameters_drawn(trial, study)
                row = {
                    name: distribution.to_internal_repr(drawn[name])
                    for name, distribution in search_space.items()
                    if name in drawn
                }
            if search_space.keys() <= row.keys():
                rows.append(row)
        return {name: np.asarray([row[name] for row in rows]) for name in search_space}

    def _numbers(self, ended: FrozenTrial) -> dict[str, float]:
        if ended.number not in self._known:
            self._known[ended.number] = {
                name: distribution.to_internal_repr(ended.params[name])
                for name, distribution in ended.distributions.items()
            }
        return self._known[ended.number]


@contextmanager
def _experimental() -> Iterator[None]:
    """Silence Optuna's warning that something may change inside the block: its version is
    pinned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
