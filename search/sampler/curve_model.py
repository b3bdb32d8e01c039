"""A Gaussian process over configurations and epochs at once: what a learning curve will come to.

The score at time t of a run of configuration x is

    m(t) + g(x) + h(x, t) + the run's offset + noise,

with m the course that all curves share, g what a configuration is worth at any time, and h what it
is worth sooner or later; each is a Gaussian process. So the scores of a rung inform about the full
budget without being taken for scores of it. After Klein et al. 2020 (MOBSTER, arXiv 2003.10865),
but for the offset, which two runs of one configuration do not share: a seed moves a whole curve.

Kernels are Matern's with nu = 5/2. The hyperparameters are those of the highest posterior density;
the prior of the length scales grows with the number of factors as in Hvarfner et al. 2024 (arXiv
2402.02229), but is narrower and of shorter scales: with theirs a model of few observations took
most factors for constant, and was too sure of it (`python -m benchmarks.prediction`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

FULL_BUDGET = 0.0

_MEAN = 1.0  # variance of the scores' mean; all variances are of scores that have one of 1
_LEAST_NOISE = 1e-4  # keeps the kernel's matrix regular
_ITERATIONS = 10


@dataclass(frozen=True)
class Observations:
    """Scores of runs: `features` (n, features) of their configurations, `times` (n,) in rungs,
    0 at the full budget and -1 a rung before it, `runs` (n,) whose they are, `scores` (n,)."""

    features: np.ndarray
    times: np.ndarray
    runs: np.ndarray
    scores: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Observations:
        return Observations(
            self.features[rows], self.times[rows], self.runs[rows], self.scores[rows]
        )

    def __len__(self) -> int:
        return len(self.scores)


class Hyperparameters(NamedTuple):
    """Length scales of the factors (factors,) and of time, and the variances of the model's
    terms."""

    scales: np.ndarray
    time: float
    shared: float
    worth: float
    course: float
    offset: float
    noise: float

    @classmethod
    def of(cls, logarithms: np.ndarray) -> Hyperparameters:
        values = np.exp(logarithms)
        return cls(values[:-6], *values[-6:].tolist())


def fitted(seen: Observations, groups: np.ndarray) -> Hyperparameters:
    """The hyperparameters that suit the observations best. `groups` (features,) has the number of
    each feature's factor, from 0; the features of a factor share a length scale."""
    prior = _prior(int(groups.max()) + 1)
    reach = 4 * prior.deviation
    found = minimize(
        _Posterior(seen, groups, prior),
        prior.mean,
        jac=True,
        method="L-BFGS-B",
        bounds=np.transpose([prior.mean - reach, prior.mean + reach]),
        options={"maxiter": _ITERATIONS},
    )
    return Hyperparameters.of(found.x)


class CurveModel:
    """What the observations say of every configuration, given the hyperparameters."""

    def __init__(self, seen: Observations, groups: np.ndarray, given: Hyperparameters) -> None:
        self._seen, self._given = seen, given
        self._scales = given.scales[groups]
        self._scaled = seen.features / self._scales
        self._mean, self._deviation, targets = _standardised(seen.scores)
        kernel = _Kernel(given, self._scaled, seen).matrix
        self._factor = cho_factor(kernel, lower=True, check_finite=False)
        self._weights = cho_solve(self._factor, targets, check_finite=False)

    def mean(self, features: np.ndarray) -> np.ndarray:
        """(m,) configurations' expected scores at the full budget."""
        return self._expected(self._cross(features / self._scales))

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (m,) of configurations' scores at the full budget, without
        what a single run adds."""
        cross = self._cross(features / self._scales)
        variance = self._prior_variance - (self._half(cross) ** 2).sum(0)
        deviation = np.sqrt(np.maximum(variance, 1e-12))
        return self._expected(cross), self._deviation * deviation

    def covariance(self, features: np.ndarray) -> np.ndarray:
        """The covariance (m, m) of configurations' scores at the full budget, without what a single
        run adds."""
        given, scaled = self._given, features / self._scales
        near, _ = _matern(_distances(scaled, scaled))
        half = self._half(self._cross(scaled))
        prior = _MEAN + given.shared + (given.worth + given.course) * near
        return np.asarray(self._deviation**2 * (prior - half.T @ half))

    @property
    def run_variance(self) -> float:
        """What a single run adds to the variance of a score."""
        return self._deviation**2 * (self._given.offset + self._given.noise)

    @property
    def _prior_variance(self) -> float:
        given = self._given
        return _MEAN + given.shared + given.worth + given.course

    def _expected(self, cross: np.ndarray) -> np.ndarray:
        return np.asarray(self._mean + self._deviation * (cross @ self._weights))

    def _cross(self, scaled: np.ndarray) -> np.ndarray:
        given = self._given
        over, _ = _matern(np.abs(self._seen.times - FULL_BUDGET) / given.time)
        near, _ = _matern(_distances(scaled, self._scaled))
        return np.asarray(_MEAN + given.shared * over + (given.worth + given.course * over) * near)

    def _half(self, cross: np.ndarray) -> np.ndarray:
        lower, _ = self._factor
        return np.asarray(solve_triangular(lower, cross.T, lower=True, check_finite=False))


class _Kernel:
    """The kernel of observations with each other, and its parts."""

    def __init__(self, given: Hyperparameters, scaled: np.ndarray, seen: Observations) -> None:
        self.lags = np.abs(seen.times[:, None] - seen.times) / given.time
        self.over, self.over_slope = _matern(self.lags)
        self.near, self.near_slope = _matern(_distances(scaled, scaled))
        self.same = (seen.runs[:, None] == seen.runs).astype(float)
        self.by_configuration = given.worth + given.course * self.over
        self.matrix = _MEAN + given.shared * self.over + self.by_configuration * self.near
        self.matrix += given.offset * self.same
        self.matrix[np.diag_indices_from(self.matrix)] += given.noise + _LEAST_NOISE


class _Prior(NamedTuple):
    """Normal distributions of the hyperparameters' logarithms, (hyperparameters,)."""

    mean: np.ndarray
    deviation: np.ndarray


def _prior(factors: int) -> _Prior:
    scale = 0.5 * math.log(factors), 0.7
    time = math.log(2), 0.7
    shared = worth = 0.0, 1.0
    course = math.log(0.3), 1.0
    offset = noise = math.log(0.03), 1.5
    return _Prior(*np.array([*[scale] * factors, time, shared, worth, course, offset, noise]).T)


@dataclass(frozen=True)
class _Posterior:
    """The negative logarithm of the hyperparameters' posterior density, and its gradient."""

    seen: Observations
    groups: np.ndarray
    prior: _Prior

    @cached_property
    def _targets(self) -> np.ndarray:
        return _standardised(self.seen.scores)[2]

    def __call__(self, logarithms: np.ndarray) -> tuple[float, np.ndarray]:
        given = Hyperparameters.of(logarithms)
        scaled = self.seen.features / given.scales[self.groups]
        kernel = _Kernel(given, scaled, self.seen)
        factor = cho_factor(kernel.matrix, lower=True, check_finite=False)
        weights = cho_solve(factor, self._targets, check_finite=False)
        inverse = cho_solve(factor, np.eye(len(weights)), check_finite=False)
        off = (logarithms - self.prior.mean) / self.prior.deviation
        value = 0.5 * self._targets @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * off @ off

        outer = 0.5 * (inverse - np.outer(weights, weights))  # derivative by the kernel's entries
        by_near = outer * kernel.by_configuration * kernel.near_slope
        by_over = outer * (given.shared + given.course * kernel.near) * kernel.over_slope
        # Of each feature, the sum over pairs of rows of by_near times their squared distance.
        by_feature = 2 * (by_near.sum(0) @ scaled**2 - (scaled * (by_near @ scaled)).sum(0))
        gradient = [
            *np.bincount(self.groups, by_feature, minlength=len(given.scales)),
            (by_over * kernel.lags**2).sum(),
            given.shared * (outer * kernel.over).sum(),
            given.worth * (outer * kernel.near).sum(),
            given.course * (outer * kernel.over * kernel.near).sum(),
            given.offset * (outer * kernel.same).sum(),
            given.noise * np.trace(outer),
        ]
        return float(value), np.array(gradient) + off / self.prior.deviation


def _standardised(scores: np.ndarray) -> tuple[float, float, np.ndarray]:
    """The scores' mean, their standard deviation (1 where it is 0), and the scores without these
    two."""
    mean, deviation = float(scores.mean()), float(scores.std()) or 1.0
    return mean, deviation, (scores - mean) / deviation


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The Euclidean distances between the rows of two matrices, (rows of a, rows of b)."""
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)))


def _matern(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The kernel at distances; and what makes its derivative by the logarithm of a length scale,
    times the squared distance, in length scales, along it."""
    far = math.sqrt(5) * distances
    decay = np.exp(-far)
    return (1 + far + far**2 / 3) * decay, 5 / 3 * (1 + far) * decay
