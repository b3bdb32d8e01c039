"""Made-up learning curves, shaped as fine-tuning's are: to try `benchmarks.efficiency` on.

    python -m benchmarks.synthetic_curves --study paper16-continuous --results FILE
        [--configurations 64] [--replicates 7] [--epochs 9] [--seed 0]

No number here was measured; the file says "synthetic". The encoder's learning rate matters most,
best near 1.6e-4; a small one learns as well in the end, but late; a large one together with a large
one of the heads diverges. Every other factor has an effect of its own, mostly a small one, and a
run has noise of half a point.
"""

from __future__ import annotations

import argparse
import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.replay.landscape import Noise, Truth, climbed
from benchmarks.replay.recorded_curves import (
    SCORES,
    SYNTHETIC,
    Budget,
    Curve,
    point,
    replayed_study,
    wanted,
)
from search.trials.distributions import distributions, encode
from spaces import Choice, Space, Value, toml_text

_CHANCE = 0.33
_NOISE = Noise(run=0.003, evaluation=0.004)


class Synthetic:
    """A `benchmarks.replay.landscape.Landscape` that is computed."""

    noise = _NOISE

    def __init__(self, space: Space, epochs: int) -> None:
        self.space, self.epochs = space, epochs

    def truth(self, values: Mapping[str, Value]) -> Truth:
        config = self.space.config(values)
        rate = math.log10(config.encoder_learning_rate)
        head = math.log10(config.head_learning_rate)
        final = 0.715 - 0.05 * ((rate + 3.8) / 1.2) ** 2 - 0.01 * (head + 2.6) ** 2
        final += sum(self._effect(name, value) for name, value in values.items())
        final = max(final, _CHANCE + 0.02)
        speed = 0.9 * 10 ** (0.45 * (rate + 4.3)) * 10 ** (0.15 * (head + 3))
        # In the end all of it is learned, as with a learning rate that falls to zero.
        shares = 1 - np.exp(-speed * np.arange(1, self.epochs + 1))
        shares = np.maximum(shares, (np.arange(1, self.epochs + 1) / self.epochs) ** 2)
        scores = _CHANCE + (final - _CHANCE) * shares
        diverges = rate + head / 2 > -4.7
        return Truth(tuple(map(float, scores)), 9.0, 1 if diverges else self.epochs)

    def best(self) -> float:
        return climbed(self.space, lambda points: [self.truth(p) for p in points], drawn=2000)

    def _effect(self, name: str, value: Value) -> float:
        """How many points a factor's value adds to the score: an option a few at most, a number the
        more the nearer it is to the factor's best place."""
        if name in ("encoder_learning_rate", "head_learning_rate"):
            return 0.0
        domain = self.space.free[name]
        weight = 0.04 * _hashed(name) ** 3  # few matter
        if isinstance(domain, Choice):
            return weight * (_hashed(f"{name}={toml_text(value)}") - 0.5)
        at = []
        found = encode(self.space, {name: value})
        for parameter, distribution in distributions(name, domain).items():
            scale = math.log if getattr(distribution, "log", False) else float
            low, high = (scale(getattr(distribution, end)) for end in ("low", "high"))
            at.append((scale(found[parameter]) - low) / (high - low) - _hashed(parameter))
        return -weight * sum(offset**2 for offset in at)


def _hashed(text: str) -> float:
    """A number from 0 to 1 that is the same for the same text on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32


def synthetic_curve(
    landscape: Synthetic, budget: Budget, number: int, seed: int, values: Mapping[str, Value]
) -> Curve:
    truth = landscape.truth(values)
    noise = landscape.noise.drawn(values, landscape.epochs, seed)
    scores = [round(float(s), 6) for s in (noise + truth.scores)[: truth.survives]]
    failure = f"epoch {truth.survives + 1}: diverged" if truth.fails else None
    seconds = [truth.seconds] * min(truth.survives + 1, landscape.epochs)
    return Curve(budget, number, seed, values, dict.fromkeys(SCORES, scores), seconds, failure)


def write(
    file: Path, study: str, configurations: int, replicates: int, epochs: int, seed: int
) -> None:
    budget = Budget(study, SYNTHETIC, epochs, 256, 0)
    replayed = replayed_study(study, epochs, budget.samples)
    landscape = Synthetic(replayed.space, epochs)
    curves = [
        synthetic_curve(landscape, budget, number, run, point(replayed, number, seed))
        for number, run in wanted(configurations, replicates)
    ]
    file.write_text("".join(curve.line() for curve in curves), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--study", required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--configurations", type=int, default=64)
    parser.add_argument("--replicates", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    write(
        options.results,
        options.study,
        options.configurations,
        options.replicates,
        options.epochs,
        options.seed,
    )


if __name__ == "__main__":
    main()
