"""What searches are replayed on: a true curve for every configuration, and noise about it.

The noise is drawn afresh in every repetition, but is the same for all methods that try the same
configuration: an offset of the run, as seeds make it, and one of every evaluation.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from benchmarks.replay.points import default_point, neighbour, random_point
from spaces import Space, Value, toml_text


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
    """The interface of what a replay runs on."""

    space: Space
    epochs: int
    noise: Noise

    def truth(self, values: Mapping[str, Value]) -> Truth:
        """The curve of a configuration."""

    def best(self) -> float:
        """The highest score at the full budget that is known to be reachable."""


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
