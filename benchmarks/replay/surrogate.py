"""The curve of any configuration, interpolated between recorded ones, and the noise about it.

Searchers propose any point of a space, so a table is not enough. Three regressors from a
configuration to its whole curve, that of each task, compete: extremely randomised trees, a Gaussian
process of all tasks together, and one of each; the one with the smallest error on configurations
that it was not fitted to (10-fold cross-validation) is used, and its error is reported. What they
are fitted to are single noisy runs: the error holds the noise of a run too, and what they give is
smoother than the truth.

Searchers look for the highest place, which is where a regressor of many factors goes astray: it
adds up what helped in different runs to scores that nothing reaches. So a task's score is never
foretold above the best one that was recorded of it.
"""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.stats import spearmanr
from sklearn.base import BaseEstimator
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import KFold, cross_val_predict
from threadpoolctl import threadpool_limits

from benchmarks.replay.landscape import Noise, Truth, climbed
from benchmarks.replay.recorded_curves import Curve
from search.sampler.features import Features
from search.trials.distributions import encode
from spaces import TASKS, Space, Value

_FOLDS = 10
_STEPS = 40


@dataclass(frozen=True)
class Fit:
    """How well a regressor foretells the score at the full budget: root mean squared error, share
    of the variance explained, rank correlation; and the error of the seconds, as a factor."""

    model: str
    rmse: float
    r2: float
    rank_correlation: float
    seconds_factor: float


class Surrogate:
    """A `Landscape` from recorded curves of one study."""

    def __init__(self, space: Space, curves: Sequence[Curve]) -> None:
        self.space = space
        self.epochs = curves[0].budget.epochs
        self.noise = measured_noise(curves)
        self._features = Features(space)
        rows = [curve for curve in curves if curve.seed == 0]
        x = self._numbers([curve.values for curve in rows])
        y = _targets(rows, self.epochs)
        self._highest = _by_task(y, self.epochs).max(axis=(0, 2))
        made: dict[str, Callable[[], Any]] = {
            "extra trees": _trees,
            "Gaussian process": lambda: _gaussian_process(x.shape[1]),
            "Gaussian processes, a task each": lambda: _TaskByTask(x.shape[1], self.epochs),
        }
        # Small matrices: more threads only wait for each other.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.fits = [self._fit(name, make(), x, y) for name, make in made.items()]
            self.chosen = min(self.fits, key=lambda fit: fit.rmse)
            self._model = made[self.chosen.model]().fit(x, y)

    def truth(self, values: Mapping[str, Value]) -> Truth:
        return self._truths([values])[0]

    def best(self) -> float:
        return self._best

    @cached_property
    def _best(self) -> float:
        return climbed(self.space, self._truths)

    def _truths(self, points: Sequence[Mapping[str, Value]]) -> list[Truth]:
        rows = self._model.predict(self._numbers(points))
        return [
            Truth(
                tuple(scores),
                math.exp(seconds),
                self.epochs if survived > 0.5 else max(0, math.floor(survived * self.epochs)),
            )
            for scores, (seconds, survived) in zip(
                self._means(rows).tolist(), rows[:, -2:].tolist(), strict=True
            )
        ]

    def _means(self, rows: np.ndarray) -> np.ndarray:
        """float64 (rows, epochs): all tasks' mean, of each at most the best that was recorded."""
        cut = np.minimum(_by_task(rows, self.epochs), self._highest[:, None])
        return np.asarray(cut.mean(axis=1))

    def _numbers(self, points: Sequence[Mapping[str, Value]]) -> np.ndarray:
        rows = [self._features.row(encode(self.space, point)) for point in points]
        return self._features.coordinates(np.stack(rows))

    def _fit(self, name: str, model: Any, x: np.ndarray, y: np.ndarray) -> Fit:
        folds = KFold(min(_FOLDS, len(x)), shuffle=True, random_state=0)
        guessed = cross_val_predict(model, x, y, cv=folds)
        last, foretold = (self._means(rows)[:, -1] for rows in (y, guessed))
        squared = float(((last - foretold) ** 2).mean())
        off = y[:, -2] - guessed[:, -2]
        return Fit(
            name,
            math.sqrt(squared),
            1 - squared / float(last.var()),
            float(spearmanr(last, foretold).statistic),
            math.exp(math.sqrt(float((off**2).mean()))),
        )

    def about(self) -> dict[str, Any]:
        return {
            "model": self.chosen.model,
            "fits": [asdict(fit) for fit in self.fits],
            "noise": asdict(self.noise),
            "best": self.best(),
        }


def measured_noise(curves: Sequence[Curve]) -> Noise:
    """The noise in the later two thirds of every curve. That of an evaluation is measured by third
    differences, which take away any trend up to a parabola and have twenty times its variance. That
    of a run is by how much more than this the means of the default's curves differ from seed to
    seed; 0 where there is one seed."""
    late = [c.scores["mean"][len(c.scores["mean"]) // 3 :] for c in curves]
    squares = [d * d / 20 for scores in late for d in np.diff(scores, 3)]
    evaluation = statistics.mean(squares) if squares else 0.0
    pairs = zip(curves, late, strict=True)
    same = [scores for curve, scores in pairs if curve.number == 0 and curve.failure is None]
    run = 0.0
    if len(same) > 1:
        run = float(np.mean(same, axis=1).var(ddof=1)) - evaluation / len(same[0])
    return Noise(math.sqrt(max(0.0, run)), math.sqrt(evaluation))


def _targets(rows: Sequence[Curve], epochs: int) -> np.ndarray:
    """float64 (curves, tasks * epochs + 2): the scores of each task, the logarithm of an epoch's
    seconds, and the share of the epochs survived. A curve that ends early goes on at its last
    score."""
    worst = {task: min(min(row.scores[task], default=0.0) for row in rows) for task in TASKS}
    targets = []
    for row in rows:
        scores: list[float] = []
        for task in TASKS:
            own = list(row.scores[task])
            scores += own + [own[-1] if own else worst[task]] * (epochs - len(own))
        trained = len(row.scores["mean"])
        survived = 1.0 if row.failure is None else trained / epochs
        # It trained only a part of the epoch in which it diverged.
        whole = row.seconds[: max(1, trained)]
        targets.append([*scores, math.log(statistics.mean(whole)), survived])
    return np.array(targets)


def _by_task(targets: np.ndarray, epochs: int) -> np.ndarray:
    """float64 (rows, tasks, epochs): the scores."""
    return targets[:, : len(TASKS) * epochs].reshape(-1, len(TASKS), epochs)


def _trees() -> ExtraTreesRegressor:
    return ExtraTreesRegressor(100, min_samples_leaf=2, random_state=0)


def _gaussian_process(features: int) -> GaussianProcessRegressor:
    kernel = ConstantKernel() * Matern(np.ones(features), (0.1, 100.0), nu=2.5) + WhiteKernel(0.1)
    return GaussianProcessRegressor(kernel, optimizer=_climb, normalize_y=True, random_state=0)


def _climb(
    loss: Callable[[np.ndarray], tuple[float, np.ndarray]], start: np.ndarray, bounds: np.ndarray
) -> tuple[np.ndarray, float]:
    """Optimise hyperparameters as scikit-learn does, but in so many steps at most: for a model of
    many factors all steps would take minutes, and the later ones change it less and less."""
    options = {"maxiter": _STEPS}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return found.x, float(found.fun)


class _TaskByTask(BaseEstimator):  # type: ignore[misc]
    """A Gaussian process of each task's scores, and one of the rest."""

    def __init__(self, features: int, epochs: int) -> None:
        self.features, self.epochs = features, epochs

    def fit(self, x: np.ndarray, y: np.ndarray) -> _TaskByTask:
        ends = [self.epochs * (task + 1) for task in range(len(TASKS))]
        parts = np.split(y, ends, axis=1)
        self.parts_ = [_gaussian_process(self.features).fit(x, part) for part in parts]
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.hstack([part.predict(x) for part in self.parts_])
