"""The integers of an interval as places from 0 to 1, drawn as Optuna draws them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Integers:
    """From `low` to `high`, both included; with `log` places are in the logarithm."""

    low: int
    high: int
    log: bool = False

    def place(self, value: int) -> float:
        """0 for the lowest, 1 for the highest, the middle where there is one alone."""
        if self.low == self.high:
            return 0.5
        low, high = self._scaled(self.low), self._scaled(self.high)
        return (self._scaled(value) - low) / (high - low)

    def places(self, values: np.ndarray) -> np.ndarray:
        """`place` of many, NaN of NaN. Each comes from the same scalar arithmetic, so that equal
        integers have places that are equal to the bit, which vectorised logarithms do not
        promise."""
        own, which = np.unique(values, return_inverse=True)
        found = [math.nan if math.isnan(value) else self.place(int(value)) for value in own]
        return np.array(found)[which.reshape(-1)]

    def nearest(self, places: np.ndarray) -> np.ndarray:
        """The integers nearest to places, as floats."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        return self._rounded(low + places * (high - low))

    def drawn(self, uniform: np.ndarray) -> np.ndarray:
        """The integers that numbers from 0 to 1 stand for, as floats: each integer has what lies
        within a half of it, so that the ends are as likely as any other, and with `log` an integer
        k has log(k + 1/2) - log(k - 1/2) of all (`optuna._transform._transform_search_space`)."""
        low, high = self._scaled(self.low - 0.5), self._scaled(self.high + 0.5)
        return self._rounded(low + uniform * (high - low))

    def moved(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """The integers nearest to the places `after`, or where these are those of `before`, the
        next ones on the way there; at an end, the next ones inside."""
        start, end = self.nearest(before), self.nearest(after)
        step = np.where(after < before, -1.0, 1.0)
        is_inside = (self.low <= start + step) & (start + step <= self.high)
        beside = start + np.where(is_inside, step, -step)
        return np.clip(np.where(start == end, beside, end), self.low, self.high)

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.log else float(value)

    def _rounded(self, scaled: np.ndarray) -> np.ndarray:
        found = np.exp(scaled) if self.log else scaled
        return np.clip(np.round(found), self.low, self.high)
