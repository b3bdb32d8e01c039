"""What a search says about each factor so far: level means after one common epoch.

One training run a configuration, with one seed, cannot prove an effect, so that every effect
comes with an interval, and says so where that cannot tell it from noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from statistics import fmean, stdev
from typing import Literal, TypeAlias

import numpy as np
from scipy import stats

from search.text.words import counted
from search.trials.epochs import epoch_text
from search.trials.record import Record
from spaces import Choice, Simplex, Space, Value, toml_text

Verdict: TypeAlias = Literal["clear", "noise", "unknown", "too few trials"]

_ALPHA = 0.05
_FEW = 7  # trials whose ranks are always permuted: the t distribution is far off with so few
_MANY = 100  # trials whose ranks are not, though some are equal: so many the t distribution bears
_PERMUTATIONS = 9999  # of the ranks at most; 7 trials have 5040
_ROUNDING = 1e-9  # scores that differ by no more are equal
_LEAD = "One seed a configuration: a lead, not a finding."


@dataclass(frozen=True)
class Level:
    """The trials that have one value of a factor, or one third of its sampled values."""

    label: str
    count: int
    mean: float | None
    """Mean score; None for no trials."""
    standard_error: float | None
    """Of the mean, from the sample's standard deviation; None for fewer than two trials, and where
    all scores are equal, which says nothing of how far others would be."""


@dataclass(frozen=True)
class Difference:
    """Mean score at `level` minus the one `against` another, with its interval."""

    level: str
    against: str
    mean: float
    low: float
    high: float
    """Without bounds where the scores do not vary: then nothing is known of their noise."""
    pairs: int | None = None
    """How many pairs that differ in this factor only; None where the trials are not paired."""

    @property
    def covers_zero(self) -> bool:
        return self.low <= 0 <= self.high

    @property
    def is_bounded(self) -> bool:
        return math.isfinite(self.low)

    def describe(self) -> str:
        how = "not paired" if self.pairs is None else counted(self.pairs, "pair")
        found = f"{self.level} minus {self.against} = {self.mean:+.3f}"
        if not self.is_bounded:
            equal = "the scores of a level" if self.pairs is None else "all differences"
            return f"{found} (no interval: {equal} are equal, {how})"
        return f"{found} ({self.low:+.3f} to {self.high:+.3f}, {how})"


@dataclass(frozen=True)
class Trend:
    """Spearman's rank correlation of a number with the score, and its two-sided p-value."""

    correlation: float
    p_value: float

    def describe(self) -> str:
        p = f"p = {self.p_value:.3f}" if self.p_value >= 0.001 else "p < 0.001"
        return f"rank correlation {self.correlation:+.2f} ({p})"


@dataclass(frozen=True)
class FactorEffect:
    """What the trials in which a factor is active say about it after `epoch`.

    All looks at one factor, which are its differences and its trend, are 95% sure together
    (Bonferroni): with two levels the interval is the plain 95% one, with more it is wider.
    """

    factor: str
    """The factor's name; of a simplex `name.component`."""
    epoch: float
    trials: int
    levels: tuple[Level, ...]
    differences: tuple[Difference, ...] = ()
    """Of every two levels with at least two trials each, the later minus the earlier."""
    trend: Trend | None = None
    """For numbers only."""

    @property
    def paired(self) -> bool:
        return any(difference.pairs is not None for difference in self.differences)

    @property
    def size(self) -> float | None:
        """The best level's mean minus the worst's, of levels with at least two trials."""
        widest = self.widest
        return abs(widest.mean) if widest else None

    @property
    def widest(self) -> Difference | None:
        """The difference of the best and the worst level."""
        return max(self.differences, key=lambda difference: abs(difference.mean), default=None)

    @property
    def trend_is_clear(self) -> bool:
        looks = len(self.differences) + 1
        return self.trend is not None and self.trend.p_value < _ALPHA / looks

    @property
    def verdict(self) -> Verdict:
        if self.widest is None:
            return "too few trials"
        if self.trend_is_clear or not self.widest.covers_zero:
            return "clear"
        return "unknown" if not self.widest.is_bounded else "noise"

    def describe(self) -> str:
        """One line for people: what can be said, or plainly that nothing can."""
        if self.widest is None:
            return "cannot tell: fewer than two levels with two trials each"
        trend = f"; {self.trend.describe()}" if self.trend else ""
        doubts = {"noise": "cannot tell, within the noise: ", "unknown": "cannot tell: "}
        return f"{doubts.get(self.verdict, '')}{self.widest.describe()}{trend}"


def common_epoch(records: Sequence[Record]) -> float:
    """The latest epoch that every trial with any score reached, 0 for none.

    Nothing was stopped for its score before it, so that all levels' trials are still there.
    """
    scored = [set(record.scores) for record in records if record.scores]
    return max(set.intersection(*scored), default=0) if scored else 0


def describe_basis(records: Sequence[Record], space: Space, epoch: float) -> str:
    """Which trials the effects after `epoch` rest on, and how far to trust them."""
    scored = [record for record in records if record.scores]
    there = [record for record in scored if epoch in record.scores]
    if not there:
        return "No trial has a score yet: there are no effects to show."
    seeds = "the seed varies as a factor" if "seed" in space.free else "one seed each"
    if len(there) == len(scored):
        trials = "1 trial" if len(there) == 1 else f"all {len(there)} trials"
        basis = f"After epoch {epoch_text(epoch)}, {trials}, {seeds}."
    else:
        basis = (
            f"After epoch {epoch_text(epoch)}, the {len(there)} of {len(scored)} trials that got "
            f"there, {seeds}: the others had ended before, mostly for low scores, which hides "
            "effects."
        )
    notes = []
    if failed := sum(record.state == "failed" for record in records if not record.scores):
        notes.append(f"Not counted: {failed} that failed without a score.")
    if repeated := len(there) - len(_distinct(there)):
        again = counted(repeated, "trial")
        notes.append(f"Counted once: configurations tried again ({again}).")
    return " ".join((basis, *notes, _LEAD))


def describe_sampler(sampler: str) -> str:
    """What a sampler that learns does to level means; empty for one that does not."""
    if sampler not in ("tpe", "gp"):
        return ""
    return (
        "The sampler tried more of what had scored well, so that the trials of two levels differ "
        "in other factors too, and a level may owe its mean to these."
    )


def level_means(records: Sequence[Record], space: Space, epoch: float) -> list[FactorEffect]:
    """Every free factor's effect on the scores of exactly `epoch`, the largest first.

    A choice has its options as levels; a number has thirds of its sampled values, as equal in
    count as ties allow, and Spearman's rank correlation; of a simplex each component is a number.
    Where the trials are the complete balanced grid of a space of choices, two levels are compared
    within pairs that are equal in all else (paired t-interval), else as two samples (Welch's
    t-interval). Only the trials in which a factor is active count.

    Args:
        epoch: trials without a score there are left out. See `common_epoch`.
    """
    scored = _distinct(record for record in records if epoch in record.scores)
    cells = _balanced_grid(scored, space, epoch)
    effects = []
    for name, domain in space.free.items():
        active = [record for record in scored if name in record.values]
        values = [record.values[name] for record in active]
        scores = [record.scores[epoch] for record in active]
        match domain:
            case Choice(options):
                effects.append(_of_choice(name, epoch, options, values, scores, cells))
            case Simplex(names):
                for position, component in enumerate(names):
                    weights = [value[position] for value in values]
                    effects.append(_of_number(f"{name}.{component}", epoch, weights, scores))
            case _:
                effects.append(_of_number(name, epoch, values, scores))
    return sorted(effects, key=lambda effect: math.inf if effect.size is None else -effect.size)


def _distinct(records: Iterable[Record]) -> list[Record]:
    """One trial a configuration: the same one with the same seed again says nothing new, and
    would make the noise look small."""
    return list({repr(sorted(r.values.items())): r for r in records}.values())


_Cells: TypeAlias = Mapping[tuple[str, ...], float]  # a grid's scores by the levels of all factors


def _of_choice(
    name: str,
    epoch: float,
    options: Sequence[Value],
    values: Sequence[Value],
    scores: Sequence[float],
    cells: tuple[Sequence[str], _Cells] | None,
) -> FactorEffect:
    groups: dict[str, list[float]] = {level_label(option): [] for option in options}
    for value, score in zip(values, scores, strict=True):
        groups[level_label(value)].append(score)
    estimate: _Estimator = _welch
    if cells is not None and len(cells[1]) >= 2 * len(options):  # at least two pairs
        estimate = partial(_paired, cells[1], cells[0].index(name))
    differences = _differences(groups, estimate)
    return FactorEffect(name, epoch, len(scores), _levels(groups), differences)


def _of_number(
    name: str, epoch: float, values: Sequence[float], scores: Sequence[float]
) -> FactorEffect:
    groups = {label: [scores[i] for i in members] for label, members in _thirds(values)}
    differences = _differences(groups, _welch, more_looks=1)
    return FactorEffect(
        name, epoch, len(scores), _levels(groups), differences, _spearman(values, scores)
    )


def level_label(value: Value) -> str:
    """A level as people read it: without quotes, tuples as `0.5/0.25/0.25`."""
    if isinstance(value, tuple):
        return "/".join(level_label(item) for item in value)
    return value if isinstance(value, str) else toml_text(value)


def _levels(groups: Mapping[str, Sequence[float]]) -> tuple[Level, ...]:
    return tuple(
        Level(
            label,
            len(scores),
            fmean(scores) if scores else None,
            None if not scores or _are_equal(scores) else stdev(scores) / math.sqrt(len(scores)),
        )
        for label, scores in groups.items()
    )


def _thirds(values: Sequence[float]) -> Iterator[tuple[str, list[int]]]:
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
_Estimator: TypeAlias = Callable[[str, str, _Samples, float], Difference]


def _differences(
    groups: Mapping[str, Sequence[float]], estimate: _Estimator, more_looks: int = 0
) -> tuple[Difference, ...]:
    """Later minus earlier level, for levels with two trials or more."""
    compared = list(combinations([label for label, s in groups.items() if len(s) > 1], 2))
    sure = 1 - _ALPHA / max(1, len(compared) + more_looks)
    return tuple(
        estimate(earlier, later, (groups[earlier], groups[later]), sure)
        for earlier, later in compared
    )


def _welch(earlier: str, later: str, samples: _Samples, sure: float) -> Difference:
    """Two samples with their own variances; degrees of freedom by Welch and Satterthwaite."""
    mean = fmean(samples[1]) - fmean(samples[0])
    if any(map(_are_equal, samples)):
        return Difference(later, earlier, mean, -math.inf, math.inf)
    result = stats.ttest_ind(samples[1], samples[0], equal_var=False)
    low, high = map(float, result.confidence_interval(sure))
    return Difference(later, earlier, mean, low, high)


def _paired(
    cells: _Cells, position: int, earlier: str, later: str, _: _Samples, sure: float
) -> Difference:
    """Cells that differ in the factor at `position` only."""
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


def _balanced_grid(
    scored: Sequence[Record], space: Space, epoch: float
) -> tuple[list[str], _Cells] | None:
    """The free factors and every cell's score, or None where the trials are no complete grid."""
    names = list(space.free)
    # Where a factor is inactive, nothing pairs with that trial.
    if not names or any(record.values.keys() != space.free.keys() for record in scored):
        return None
    cells = {
        tuple(level_label(record.values[name]) for name in names): record.scores[epoch]
        for record in scored
    }
    points = math.prod(len(domain.levels or ()) for domain in space.free.values())
    return (names, cells) if len(cells) == points else None


def _spearman(values: Sequence[float], scores: Sequence[float]) -> Trend | None:
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
