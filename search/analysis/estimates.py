"""Differences of level means with their intervals, and rank correlations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from statistics import fmean, stdev
from typing import TypeAlias

import numpy as np
from scipy import stats

from search.analysis.factor_effect import ALPHA, Difference, Level, Trend

_FEW = 7  # trials whose ranks are always permuted: the t distribution is far off with so few

_MANY = 100  # trials whose ranks are not, though some are equal: so many the t distribution bears

_PERMUTATIONS = 9999  # of the ranks at most; 7 trials have 5040

_ROUNDING = 1e-9  # scores that differ by no more are equal

Cells: TypeAlias = Mapping[tuple[str, ...], float]  # a grid's scores by the levels of all factors


def level_summaries(groups: Mapping[str, Sequence[float]]) -> tuple[Level, ...]:
    return tuple(
        Level(
            label,
            len(scores),
            fmean(scores) if scores else None,
            None if not scores or _are_equal(scores) else stdev(scores) / math.sqrt(len(scores)),
        )
        for label, scores in groups.items()
    )


def thirds_of(values: Sequence[float]) -> Iterator[tuple[str, list[int]]]:
    """The positions of the lowest, middle and highest values; equal values stay together."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    bins: dict[int, list[int]] = {}
    third: dict[float, int] = {}
    for rank, i in enumerate(order):
        number = third.setdefault(values[i], rank * 3 // len(values))
        bins.setdefault(number, []).append(i)
    for members in bins.values():
        low, high = values[members[0]], values[members[-1]]
        label = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
        yield label, members


_Samples: TypeAlias = tuple[Sequence[float], Sequence[float]]

Estimator: TypeAlias = Callable[[str, str, _Samples, float], Difference]


def level_differences(
    groups: Mapping[str, Sequence[float]], estimate: Estimator, more_looks: int = 0
) -> tuple[Difference, ...]:
    """The differences, later minus earlier level, of every two levels with two trials or more."""
    compared = list(combinations([label for label, s in groups.items() if len(s) > 1], 2))
    sure = 1 - ALPHA / max(1, len(compared) + more_looks)
    return tuple(
        estimate(earlier, later, (groups[earlier], groups[later]), sure)
        for earlier, later in compared
    )


def welch_estimate(earlier: str, later: str, samples: _Samples, sure: float) -> Difference:
    """Estimate the difference of two samples with variances of their own; the degrees of freedom
    are Welch's and Satterthwaite's."""
    mean = fmean(samples[1]) - fmean(samples[0])
    if any(map(_are_equal, samples)):
        return Difference(later, earlier, mean, -math.inf, math.inf)
    result = stats.ttest_ind(samples[1], samples[0], equal_var=False)
    low, high = map(float, result.confidence_interval(sure))
    return Difference(later, earlier, mean, low, high)


def paired_estimate(
    cells: Cells, position: int, earlier: str, later: str, _: _Samples, sure: float
) -> Difference:
    """Estimate differences from pairs of cells that differ in the factor at `position` only."""
    before = {point: score for point, score in cells.items() if point[position] == earlier}
    after = [cells[(*point[:position], later, *point[position + 1 :])] for point in before]
    differences = [b - a for a, b in zip(before.values(), after, strict=True)]
    mean, pairs = fmean(differences), len(differences)
    if _are_equal(differences):
        return Difference(later, earlier, mean, -math.inf, math.inf, pairs)
    result = stats.ttest_rel(after, list(before.values()))
    low, high = map(float, result.confidence_interval(sure))
    return Difference(later, earlier, mean, low, high, pairs)


def _are_equal(numbers: Sequence[float]) -> bool:
    """Whether they differ by rounding alone, as one number also does."""
    return max(numbers) - min(numbers) <= _ROUNDING


def spearman_trend(values: Sequence[float], scores: Sequence[float]) -> Trend | None:
    """None where one side is constant, or fewer than three trials have an order.

    With few trials, or equal ranks among them, the p-value is the share of the orders of the scores
    that correlate at least as strongly: the t distribution would be sure of eight trials of which
    one differs.
    """
    if len(values) < 3 or len(set(values)) == 1 or _are_equal(scores):
        return None
    sides = values, np.round(scores, 9)  # what rounding tells apart has no order
    result = stats.spearmanr(*sides)
    correlation, p_value = float(result.statistic), float(result.pvalue)
    has_ties = any(len(np.unique(side)) < len(side) for side in sides)
    if len(values) <= _FEW or (has_ties and len(values) <= _MANY):
        p_value = _permuted_p_value(*(stats.rankdata(side) for side in sides))
    return Trend(correlation, p_value)


def _permuted_p_value(x: np.ndarray, y: np.ndarray) -> float:
    """Two-sided, of the correlation of ranks: of all orders of one side where these are few, else
    of random ones, always the same."""
    middle = (len(x) + 1) / 2

    def correlation(y: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(np.moveaxis(y, axis, -1) @ (x - middle))

    result = stats.permutation_test(
        (y - middle,),
        correlation,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=_PERMUTATIONS,
        rng=0,
    )
    return float(result.pvalue)
