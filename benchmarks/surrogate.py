"""The curve of any configuration, interpolated between recorded ones, and the noise about it.

Searchers propose any point of a space, so a table is not enough. Three regressors from a
configuration to its whole curve compete: extremely randomised trees, and Gaussian processes with a
length scale for each feature and with one for all, which few curves of many factors can tell; the
one with the smallest error on configurations that it was not fitted to (10-fold cross-validation)
is used, and its error is reported. What they are fitted to are single noisy runs: the error holds
the noise of a run too, and what they give is smoother than the truth.
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
from scipy.stats import spearmanr
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import KFold, cross_val_predict
from threadpoolctl import threadpool_limits

from benchmarks.curves import Curve
from benchmarks.landscape import Noise, Truth, climbed
from search.distributions import encode
from search.features import Features
from spaces import Space, Value

_FOLDS = 10


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
        made: dict[str, Callable[[], Any]] = {
            "extra trees": _trees,
            "Gaussian process": lambda: _gaussian_process(np.ones(x.shape[1])),
            "Gaussian process, one scale": lambda: _gaussian_process(3.0),
        }
        # Small matrices: more threads only wait for each other.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.fits = [_fit(name, make(), x, y, self.epochs) for name, make in made.items()]
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
        return [
            Truth(
                tuple(float(score) for score in row[: self.epochs]),
                math.exp(row[self.epochs]),
                self.epochs if row[-1] > 0.5 else max(0, math.floor(row[-1] * self.epochs)),
            )
            for row in self._model.predict(self._numbers(points))
        ]

    def _numbers(self, points: Sequence[Mapping[str, Value]]) -> np.ndarray:
        rows = [self._features.row(encode(self.space, point)) for point in points]
        return self._features.features(np.stack(rows))

    def about(self) -> dict[str, Any]:
        return {
            "model": self.chosen.model,
            "fits": [asdict(fit) for fit in self.fits],
            "noise": asdict(self.noise),
            "best": self.best(),
        }


def measured_noise(curves: Sequence[Curve]) -> Noise:
    """From the later two thirds of every curve. Of an evaluation: from third differences, which
    take away any trend up to a parabola and have twenty times its variance. Of a run: what the
    means of the default's curves differ by more than that, seed by seed; 0 where there is one."""
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
    """float64 (curves, epochs + 2): the scores, the logarithm of an epoch's seconds, and the share
    of the epochs survived. A curve that ends early goes on at its last score."""
    worst = min(min(row.scores["mean"], default=0.0) for row in rows)
    targets = []
    for row in rows:
        scores = list(row.scores["mean"])
        scores += [scores[-1] if scores else worst] * (epochs - len(scores))
        survived = 1.0 if row.failure is None else len(row.scores["mean"]) / epochs
        # Of an epoch in which it diverged it had only a part.
        whole = row.seconds[: max(1, len(row.scores["mean"]))]
        targets.append([*scores, math.log(statistics.mean(whole)), survived])
    return np.array(targets)


def _trees() -> ExtraTreesRegressor:
    return ExtraTreesRegressor(100, min_samples_leaf=2, random_state=0)


def _gaussian_process(scales: np.ndarray | float) -> GaussianProcessRegressor:
    kernel = ConstantKernel() * Matern(scales, (0.1, 100.0), nu=2.5) + WhiteKernel(0.1)
    return GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)


def _fit(name: str, model: Any, x: np.ndarray, y: np.ndarray, epochs: int) -> Fit:
    folds = KFold(min(_FOLDS, len(x)), shuffle=True, random_state=0)
    guessed = cross_val_predict(model, x, y, cv=folds)
    last, foretold = y[:, epochs - 1], guessed[:, epochs - 1]
    squared = float(((last - foretold) ** 2).mean())
    off = y[:, epochs] - guessed[:, epochs]
    return Fit(
        name,
        math.sqrt(squared),
        1 - squared / float(last.var()),
        float(spearmanr(last, foretold).statistic),
        math.exp(math.sqrt(float((off**2).mean()))),
    )
