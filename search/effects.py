"""What a search says about each factor so far: level means after one common epoch.

One training run a configuration, with one seed, cannot prove an effect, so that every effect
comes with an interval, and says so where that cannot tell it from noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, permutations
from statistics import fmean, stdev
from typing import Literal, TypeAlias

import numpy as np
from scipy import stats

from search.clock import epoch_text
from search.records import Record
from spaces import Choice, Simplex, Space, Value, toml_text

Verdict: TypeAlias = Literal["clear", "noise", "too few trials"]

_ALPHA = 0.05
_EXACT_RANKS = 7  # up to here all orders are counted: the t distribution is far off with so few
_LEAD = "One seed a configuration: a lead, not a finding."


@dataclass(frozen=True)
class Level:
    """The trials that have one value of a factor, or one third of its sampled values."""

    label: str
    count: int
    mean: float | None
    """Mean score; None for no trials."""
    standard_error: float | None
    """Of the mean, from the sample's standard deviation; None for fewer than two trials."""


@dataclass(frozen=True)
class Difference:
    """Mean score at `level` minus the one `against` another, with its interval."""

    level: str
    against: str
    mean: float
    low: float
    high: float
    pairs: int | None = None
    """How many pairs that differ in this factor only; None where the trials are not paired."""

    @property
    def covers_zero(self) -> bool:
        return self.low <= 0 <= self.high

    def describe(self) -> str:
        how = "not paired" if self.pairs is None else f"{self.pairs} pairs"
        return (
            f"{self.level} minus {self.against} = {self.mean:+.3f} "
            f"({self.low:+.3f} to {self.high:+.3f}, {how})"
        )


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
        return "clear" if self.trend_is_clear or not self.widest.covers_zero else "noise"

    def describe(self) -> str:
        """One line for people: what can be said, or plainly that nothing can."""
        if self.widest is None:
            return "cannot tell: fewer than two levels with two trials each"
        trend = f"; {self.trend.describe()}" if self.trend else ""
        doubt = "" if self.verdict == "clear" else "cannot tell, within the noise: "
        return f"{doubt}{self.widest.describe()}{trend}"


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
        notes.append(f"Counted once: configurations tried again ({repeated} trials).")
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
            stdev(scores) / math.sqrt(len(scores)) if len(scores) > 1 else None,
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
_Estimate: TypeAlias = tuple[float, float, float, int | None]  # mean, its error, df, pairs
_Estimator: TypeAlias = Callable[[str, str, _Samples], _Estimate]


def _differences(
    groups: Mapping[str, Sequence[float]], estimate: _Estimator, more_looks: int = 0
) -> tuple[Difference, ...]:
    """Later minus earlier level, for levels with two trials or more."""
    compared = list(combinations([label for label, s in groups.items() if len(s) > 1], 2))
    looks = len(compared) + more_looks
    found = []
    for earlier, later in compared:
        mean, error, degrees, pairs = estimate(earlier, later, (groups[earlier], groups[later]))
        half = float(stats.t.ppf(1 - _ALPHA / looks / 2, degrees)) * error
        found.append(Difference(later, earlier, mean, mean - half, mean + half, pairs))
    return tuple(found)


def _welch(earlier: str, later: str, samples: _Samples) -> _Estimate:
    """Two samples with their own variances; degrees of freedom by Welch and Satterthwaite."""
    parts = [stdev(sample) ** 2 / len(sample) for sample in samples]
    error = math.sqrt(sum(parts))
    spread = sum(part**2 / (len(s) - 1) for part, s in zip(parts, samples, strict=True))
    degrees = sum(parts) ** 2 / spread if spread > 0 else 1.0
    return fmean(samples[1]) - fmean(samples[0]), error, degrees, None


def _paired(cells: _Cells, position: int, earlier: str, later: str, _: _Samples) -> _Estimate:
    """Cells that differ in the factor at `position` only."""
    differences = [
        cells[(*point[:position], later, *point[position + 1 :])] - score
        for point, score in cells.items()
        if point[position] == earlier
    ]
    pairs = len(differences)
    return fmean(differences), stdev(differences) / math.sqrt(pairs), pairs - 1, pairs


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
    """None where one side is constant, or fewer than three trials have an order."""
    if len(values) < 3 or len(set(values)) == 1 or len(set(scores)) == 1:
        return None
    result = stats.spearmanr(values, scores)
    trend = Trend(float(result.statistic), float(result.pvalue))
    if len(values) > _EXACT_RANKS:
        return trend
    return replace(trend, p_value=_exact_p_value(values, scores))


def _exact_p_value(values: Sequence[float], scores: Sequence[float]) -> float:
    """The share of all orders of the scores that correlate at least as strongly."""
    x, y = (stats.rankdata(side) - (len(values) + 1) / 2 for side in (values, scores))
    orders = np.array(list(permutations(y)))  # (n!, n)
    return float(np.mean(np.abs(orders @ x) >= abs(x @ y) - 1e-9))
