"""The curve of any configuration, interpolated between recorded ones, and the noise about it.

Searchers propose any point of a space, so a table is not enough. Two regressors from a
configuration to its whole curve compete, extremely randomised trees and a Gaussian process; the one
with the smaller error on configurations that it was not fitted to (10-fold cross-validation) is
used, and its error is reported. What they are fitted to are single noisy runs: the error holds the
noise of a run too, and what they give is smoother than the truth.

The noise is drawn afresh in every repetition, but is the same for all methods that try the same
configuration: an offset of the run, as seeds make it, and one of every evaluation.
"""

from __future__ import annotations

import hashlib
import math
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.stats import spearmanr
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import KFold, cross_val_predict
from threadpoolctl import threadpool_limits

from benchmarks.curves import Curve
from benchmarks.points import default_point, neighbour, random_point
from search.distributions import distributions, encode
from spaces import Space, Value, toml_text

_FOLDS = 10


@dataclass(frozen=True)
class Truth:
    """A configuration's curve without noise: `scores[k]` after epoch k + 1, each of which takes
    `seconds`; it diverges in the epoch after `survives`."""

    scores: tuple[float, ...]
    seconds: float
    survives: int

    @property
    def fails(self) -> bool:
        return self.survives < len(self.scores)


@dataclass(frozen=True)
class Noise:
    """Standard deviations: of a run's offset from its configuration, and of each evaluation."""

    run: float
    evaluation: float

    def drawn(self, values: Mapping[str, Value], epochs: int, repetition: int) -> np.ndarray:
        """float64 (epochs,): the same for the same configuration in one repetition."""
        text = f"{repetition}:{toml_text(dict(sorted(values.items())))}"
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        random = np.random.default_rng(seed)
        drawn: np.ndarray = self.run * random.standard_normal() + (
            self.evaluation * random.standard_normal(epochs)
        )
        return drawn


class Landscape(Protocol):
    """What a replay runs on."""

    space: Space
    epochs: int
    noise: Noise

    def truth(self, values: Mapping[str, Value]) -> Truth:
        """The curve of a configuration."""

    def best(self) -> float:
        """The highest score at the full budget that is known to be reachable."""


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
        x = np.stack([self._features(curve.values) for curve in rows])
        y = _targets(rows, self.epochs)
        made: dict[str, Callable[[], Any]] = {
            "extra trees": _trees,
            "Gaussian process": lambda: _gaussian_process(x.shape[1]),
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
        x = np.stack([self._features(point) for point in points])
        return [
            Truth(
                tuple(float(score) for score in row[: self.epochs]),
                math.exp(row[self.epochs]),
                self.epochs if row[-1] > 0.5 else max(0, math.floor(row[-1] * self.epochs)),
            )
            for row in self._model.predict(x)
        ]

    def about(self) -> dict[str, Any]:
        return {
            "model": self.chosen.model,
            "fits": [asdict(fit) for fit in self.fits],
            "noise": asdict(self.noise),
            "best": self.best(),
        }


class Features:
    """A point as numbers: Optuna's parameters, scaled to 0..1 (in the logarithm where they are
    sampled so), options one-hot. What is not active is at the middle, or is no option."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._parameters = {
            parameter: distribution
            for name, domain in space.free.items()
            for parameter, distribution in distributions(name, domain).items()
        }

    def __call__(self, values: Mapping[str, Value]) -> np.ndarray:
        """float64 (features,)"""
        found = encode(self._space, values)
        numbers: list[float] = []
        for name, distribution in self._parameters.items():
            match distribution:
                case CategoricalDistribution():
                    known = toml_text(found[name]) if name in found else None
                    numbers += [float(toml_text(o) == known) for o in distribution.choices]
                case FloatDistribution() | IntDistribution():
                    scale = math.log if distribution.log else float
                    low, high = scale(distribution.low), scale(distribution.high)
                    at = (scale(found[name]) - low) / (high - low) if name in found else 0.5
                    numbers.append(at)
        return np.array(numbers)


def measured_noise(curves: Sequence[Curve]) -> Noise:
    """Of an evaluation: from the third differences of the later two thirds of every curve, which
    take away any trend up to a parabola and have twenty times its variance. Of a run: what the
    default's seeds differ by more than that; 0 where it was trained with one only."""
    squares = [
        d * d / 20
        for curve in curves
        for d in np.diff(curve.scores["mean"][len(curve.scores["mean"]) // 3 :], 3)
    ]
    evaluation = statistics.mean(squares) if squares else 0.0
    same = [c.scores["mean"] for c in curves if c.number == 0 and c.failure is None]
    if len(same) < 2:
        return Noise(0.0, math.sqrt(evaluation))
    across = float(np.var(np.array(same), axis=0, ddof=1).mean())
    return Noise(math.sqrt(max(0.0, across - evaluation)), math.sqrt(evaluation))


def climbed(
    space: Space,
    truths: Callable[[Sequence[Mapping[str, Value]]], Sequence[Truth]],
    drawn: int = 5000,
    rounds: int = 20,
) -> float:
    """The best score at the full budget of many random points, and of better and better ones
    near the best of them."""
    random = np.random.default_rng(0)
    points = [default_point(space), *(random_point(space, random) for _ in range(drawn))]
    ranked: list[tuple[float, dict[str, Value]]] = []
    for _ in range(rounds):
        found = [
            (-math.inf if truth.fails else truth.scores[-1], point)
            for truth, point in zip(truths(points), points, strict=True)
        ]
        ranked = sorted([*ranked, *found], key=lambda pair: pair[0], reverse=True)[:20]
        points = [neighbour(space, point, random) for _, point in ranked for _ in range(20)]
    return ranked[0][0]


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


def _gaussian_process(features: int) -> GaussianProcessRegressor:
    kernel = ConstantKernel() * Matern(np.ones(features), (0.1, 100.0), nu=2.5) + WhiteKernel(0.1)
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
