"""Random choices that are the same everywhere, for data that are named by their seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Dice:
    """Random choices that are the same under every version of Python.

    Only `Random.random` promises to stay the same for a seed, so everything is made from it.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self._random.random()

    def pick(self, items: Sequence[Item]) -> Item:
        return items[int(self._random.random() * len(items))]

    def other(self, items: Sequence[Item], than: Item) -> Item:
        return self.pick([item for item in items if item != than])

    def weighted(self, weights: Sequence[float]) -> int:
        """The index of one of the weights, which sum to 1."""
        left = self._random.random()
        for index, weight in enumerate(weights):
            left -= weight
            if left < 0:
                return index
        return len(weights) - 1
