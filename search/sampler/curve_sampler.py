"""Proposes the configurations that a model of all learning curves expects most of."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState
from scipy.spatial.distance import cdist
from scipy.stats import norm
from threadpoolctl import ThreadpoolController

from search.sampler.curve_model import FULL_BUDGET, CurveModel, Observations, fitted
from search.sampler.features import Features
from search.trials.epochs import Clock
from search.trials.optuna_private import (
    ENQUEUED,
    storage_of,
    stored_id,
    trial_of,
    trials_of,
)
from spaces import StudyFile

_DESIGNED = 8  # measured trials before the model's first proposal
_SPREAD = 200  # candidates for each of these trials
_OF_A_TRIAL = 10  # scores that the model is told of each, at most
_FITTED = 100  # observations that hyperparameters are fitted to, at most
_PART = 0.7  # share of the trials whose observations these are
_KNOWN = 1000  # observations that the model knows of, at most
_PENDING = 250  # trials without a score, the latest, that proposals keep away from
_DRAWN, _KEPT, _NEAR = 1000, 5, 20  # candidates at random; the best of them; those near each
_WIDTHS = (0.2, 0.1, 0.05)  # how far those are, round by round
_DOUBT = 1.5  # times the model's deviations, which leave out that its hyperparameters are guesses
_SHARE = 8  # as many proposals are made at once as an eighth of the trials that run
# Optuna's system attributes of a trial: proposals that were made at once when it asked, and how
# many of those made last were left after it.
_MADE, _LEFT = "proposals", "proposals_left"


class CurveSampler(BaseSampler):
    """Proposes, of many candidates, the one with the greatest expected improvement at the full
    budget on the best that the model knows of (Jones et al. 1998). The first proposals fill the
    space evenly.

    The model's hyperparameters are fitted to a part of the trials, another one at each proposal, so
    that no search stays with one wrong guess of which factors matter.

    Trials that run count with what they have reported; those that have reported nothing as if they
    came to what is expected of them. Of a large search's trials many run and report at any moment:
    there the proposals of one model are made in advance, each as if those before it ran, and what
    the model knows of is thinned out, for it costs the cube of that. What was made in advance
    stands in the journal, so that a search that goes on proposes what it would have.
    """

    def __init__(self, study: StudyFile) -> None:
        self._features = Features(study.space)
        self._threads = ThreadpoolController()  # threads only wait for each other on small matrices
        self._factor = study.search.reduction_factor
        self._steps = Clock.of(study).step(study.epochs)
        self._rows: dict[int, np.ndarray] = {}  # the rows of trials that have ended, by number
        self._advance: deque[np.ndarray] = deque()
        self._asked = -1  # the trial that asked last, by number
        self._refused: tuple[int, list[np.ndarray]] = -1, []  # a trial's earlier proposals

    def seeded(self, seed: int) -> CurveSampler:
        """This sampler, which now draws what a new one with this seed would draw; proposals that
        were made in advance are handed out first."""
        self._random = np.random.default_rng(seed)
        self._independent = RandomSampler(seed=seed)
        return self

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All parameters: those that are not active at a proposal are left out of it."""
        return self._features.parameters

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        number, refused = self._refused
        refused = refused if number == trial.number else []
        with self._threads.limit(limits=1, user_api="blas"):
            row = self._proposed(study, trial, refused)
        self._refused = trial.number, [*refused, row]
        return self._features.point(row)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def _proposed(
        self, study: optuna.Study, asking: FrozenTrial, refused: list[np.ndarray]
    ) -> np.ndarray:
        if asking.number not in (self._asked, self._asked + 1):
            self._advance = _left(study, asking.number)
        self._asked = asking.number
        store = partial(storage_of(study).set_trial_system_attr, stored_id(asking))
        if not self._advance:
            self._advance.extend(self._made(study, asking, refused))
            if len(self._advance) > 1:
                store(_MADE, [row.tolist() for row in self._advance])
            elif _LEFT not in asking.system_attrs:
                return self._advance.popleft()
        row = self._advance.popleft()
        store(_LEFT, len(self._advance))
        return row

    def _made(
        self, study: optuna.Study, asking: FrozenTrial, refused: list[np.ndarray]
    ) -> list[np.ndarray]:
        """Proposals of what is known now, the first one of them for the trial that asks."""
        trials = [
            trial for trial in trials_of(study) if trial.number != asking.number and trial.params
        ]
        running = sum(not trial.state.is_finished() for trial in trials)
        count = max(1, running // _SHARE)
        measured = [trial for trial in trials if trial.intermediate_values]
        tried = [*map(self._row, trials), *refused]
        if not tried:
            return list(self._features.drawn(1, self._random))
        if len(measured) < _DESIGNED:
            return self._far(np.stack(tried), count)
        pending = [t for t in trials if not t.intermediate_values and not t.state.is_finished()]
        model = self._model(measured, pending[-_PENDING:])
        return self._best(model, np.stack(tried), count)

    def _far(self, tried: np.ndarray, count: int) -> list[np.ndarray]:
        """So many rows, each the farthest of its candidates from all before it: a maximin design
        (Johnson et al. 1990) that grows by the best candidate (Mitchell 1991)."""
        before = self._features.features(tried)
        chosen = []
        for _ in range(count):
            rows = self._features.drawn(_SPREAD, self._random)
            features = self._features.features(rows)
            farthest = cdist(features, before).min(axis=1).argmax()
            chosen.append(rows[farthest])
            before = np.vstack([before, features[farthest]])
        return chosen

    def _model(self, measured: Sequence[FrozenTrial], pending: Sequence[FrozenTrial]) -> CurveModel:
        groups = self._features.groups
        seen = self._observations(measured)
        seen = seen[_evenly(len(seen), _KNOWN)]
        given = fitted(self._part(seen[_evenly(len(seen), _FITTED)]), groups)
        model = CurveModel(seen, groups, given)
        if not pending:
            return model
        features = self._features.features(np.stack([self._row(trial) for trial in pending]))
        expected = model.mean(features)
        return CurveModel(
            Observations(
                np.concatenate([seen.features, features]),
                np.append(seen.times, np.full(len(pending), FULL_BUDGET)),
                np.append(seen.runs, [trial.number for trial in pending]),
                np.append(seen.scores, expected),
            ),
            groups,
            given,
        )

    def _part(self, seen: Observations) -> Observations:
        """The observations of a random part of the trials."""
        runs = np.unique(seen.runs)
        some = self._random.choice(runs, math.ceil(_PART * len(runs)), replace=False)
        return seen[np.isin(seen.runs, some)]

    def _observations(self, measured: Sequence[FrozenTrial]) -> Observations:
        """The scores of all epochs, which tell a curve from its noise."""
        found = [
            (self._row(trial), self._time(trial, step), trial.number, score)
            for trial in measured
            for step, score in _thinned(trial.intermediate_values)
        ]
        rows, times, runs, scores = map(np.array, zip(*found, strict=True))
        return Observations(self._features.features(rows), times, runs, scores)

    def _time(self, trial: FrozenTrial, step: int) -> float:
        """A step's time in rungs, as the model counts it. The last step of a completed trial is at
        the full budget, also where the trial ended itself: it has come to what it would come to."""
        if trial.state == TrialState.COMPLETE and step == trial.last_step:
            return FULL_BUDGET
        return math.log(step / self._steps, self._factor)

    def _row(self, trial: FrozenTrial) -> np.ndarray:
        if trial.number in self._rows:
            return self._rows[trial.number]
        row = self._features.row(trial.params)
        if trial.state.is_finished():
            self._rows[trial.number] = row
        return row

    def _best(self, model: CurveModel, tried: np.ndarray, count: int) -> list[np.ndarray]:
        """The rows of so many proposals, the first of which is the best of all candidates."""
        told = self._features.features(tried)
        known, had = model.mean(told), {*_keys(told)}
        rows = self._features.drawn(_DRAWN, self._random)
        features = self._features.features(rows)
        gains = _gains(model, known.max(), features, had)
        centres = np.concatenate([tried[_highest(known, _KEPT)], rows[_highest(gains, _KEPT)]])
        for width in _WIDTHS:
            near = self._features.near(centres, _NEAR, width, self._random)
            found = self._features.features(near)
            rows, features = np.concatenate([rows, near]), np.concatenate([features, found])
            gains = np.append(gains, _gains(model, known.max(), found, had))
            centres = rows[_highest(gains, _KEPT)]
        if count == 1:
            return list(centres[:1])
        once = np.array([*{key: at for at, key in enumerate(_keys(features))}.values()])
        kept = once[_highest(gains[once], 3 * count)]
        return list(rows[kept[_in_turn(model, known.max(), features[kept], count)]])


def _left(study: optuna.Study, number: int) -> deque[np.ndarray]:
    """What was made in advance before the trial of this number asked, and is not yet proposed."""
    left = None
    for earlier in reversed(range(number)):
        told = trial_of(study, earlier).system_attrs
        left = told.get(_LEFT) if left is None else left
        if _MADE in told and left is not None:
            return deque(map(np.array, told[_MADE][len(told[_MADE]) - left :]))
        if left == 0 or (left is None and ENQUEUED not in told):
            break
    return deque()


def _in_turn(model: CurveModel, known: float, features: np.ndarray, count: int) -> list[int]:
    """The numbers of the chosen configurations, each chosen as if those before it ran."""
    mean = model.mean(features)
    covariance = model.covariance(features)
    chosen: list[int] = []
    for _ in range(min(count, len(features))):
        deviation = np.sqrt(covariance.diagonal().clip(1e-12))
        gains = _log_improvement(mean, _DOUBT * deviation, known)
        gains[chosen] = -math.inf
        chosen.append(int(gains.argmax()))
        column = covariance[:, chosen[-1]]
        covariance -= np.outer(column, column) / (column[chosen[-1]] + model.run_variance)
    return chosen


def _gains(model: CurveModel, known: float, features: np.ndarray, had: set[bytes]) -> np.ndarray:
    """(configurations,) the logarithm of the expected improvement; minus infinity for what was
    tried."""
    mean, deviation = model.predict(features)
    gains = _log_improvement(mean, _DOUBT * deviation, known)
    gains[[key in had for key in _keys(features)]] = -math.inf
    return gains


def _keys(features: np.ndarray) -> list[bytes]:
    """Keys of configurations, equal where the configurations are equal though their rows differ:
    many rows are at one corner of a simplex."""
    return [row.tobytes() for row in features]


def _log_improvement(mean: np.ndarray, deviation: np.ndarray, known: float) -> np.ndarray:
    """The logarithm of the expected improvement of normal distributions on a score, which ranks
    them where the improvement itself is no longer told from 0 (Ament et al. 2023, arXiv
    2310.20708, with the first term of its expansion far below)."""
    z = (mean - known) / deviation
    far = z < -6
    close = np.where(far, 0.0, z)
    improvement = np.log(norm.pdf(close) + close * norm.cdf(close))
    beyond = np.where(far, z, -6.0)
    tail = norm.logpdf(beyond) - 2 * np.log(-beyond)
    return np.asarray(np.where(far, tail, improvement) + np.log(deviation))


def _thinned(scores: Mapping[int, float]) -> list[tuple[int, float]]:
    """A trial's scores by step, in order, the first and the last one among them."""
    told = sorted(scores.items())
    return [told[at] for at in _evenly(len(told), _OF_A_TRIAL)]


def _evenly(count: int, most: int) -> np.ndarray:
    """The numbers of at most so many of `count` rows, spread evenly over all of them."""
    return np.unique(np.linspace(0, count - 1, most).round().astype(int))


def _highest(values: np.ndarray, count: int) -> np.ndarray:
    """The places of the highest values, the highest first."""
    return np.argsort(-values, kind="stable")[:count]
