"""What can be said of one factor: its levels, their differences, a trend."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from search.text.words import counted

Verdict: TypeAlias = Literal["clear", "noise", "unknown", "too few trials"]

ALPHA = 0.05


@dataclass(frozen=True)
class Level:
    """The trials that have one value of a factor, or one third of its sampled values."""

    label: str
    count: int
    mean: float | None
    """The mean score of its trials; None where there are none."""
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
    """The differences of every two levels with at least two trials each, the later minus the
    earlier."""
    trend: Trend | None = None
    """The trend over the factor's values; None where they are no numbers."""

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
        """The difference between the best and the worst level."""
        return max(self.differences, key=lambda difference: abs(difference.mean), default=None)

    @property
    def trend_is_clear(self) -> bool:
        looks = len(self.differences) + 1
        return self.trend is not None and self.trend.p_value < ALPHA / looks

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
