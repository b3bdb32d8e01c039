"""How well the search's model of learning curves foretells from a few of them, on recorded curves.

    python -m benchmarks.prediction [--curves FILE ...] [--repetitions 24]

Of the recorded configurations some are drawn and told to the model as successive halving would have
left them: the first epoch of all, three of the best third, nine of the best ninth. Of all others it
foretells the score at the full budget. A row is the mean over the repetitions: root mean squared
error in points, rank correlation, the logarithm of the density of what was then measured (in units
of the score; higher is better, and what is too sure of itself is far below), and how far below the
best of all others the mean of the five is that it expects most of, in points.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import ConstantInputWarning, norm, spearmanr
from threadpoolctl import threadpool_limits

from benchmarks.replay.recorded_curves import Curve, read_curves, replayed_study
from search.sampler.curve_model import CurveModel, Observations, fitted
from search.sampler.features import Features
from search.trials.distributions import encode
from spaces import UserError

_TOLD = (8, 16, 32, 64)
_FACTOR = 3
_RUNGS = (1, _FACTOR, _FACTOR**2)
_TOP = 5
_RECORDED = [Path(f"benchmarks/curves/{name}.jsonl") for name in ("paper16-continuous", "wide")]


def foretold(
    rows: np.ndarray, scores: np.ndarray, features: Features, told: np.ndarray
) -> tuple[float, float, float, float]:
    """Error, rank correlation, log density and regret. `rows` (n, parameters), `scores`
    (n, epochs), `told` the numbers of the configurations that the model knows of."""
    x, epochs = features.features(rows), scores.shape[1]
    seen: list[tuple[int, int]] = []  # configuration and epoch
    for rank, number in enumerate(sorted(told, key=lambda at: -scores[at, 0])):
        trained = max(rung for rung in _RUNGS if rank * rung < len(told))
        seen += [(number, epoch) for epoch in range(1, min(trained, epochs) + 1)]
    runs, at = np.transpose(seen)
    times = np.log(at / epochs) / math.log(_FACTOR)
    given = Observations(x[runs], times, runs, scores[runs, at - 1])
    model = CurveModel(given, features.groups, fitted(given, features.groups))
    others = np.setdiff1d(np.arange(len(x)), told)
    truth = scores[others, -1]
    mean, deviation = model.predict(x[others])
    spread = np.sqrt(deviation**2 + model.run_variance)
    expected_most = np.argsort(-mean)[:_TOP]
    return (
        float(np.sqrt(((mean - truth) ** 2).mean())),
        float(spearmanr(mean, truth).statistic),
        float(norm.logpdf(truth, mean, spread).mean()),
        float(truth.max() - truth[expected_most].mean()),
    )


def measure(curves: Sequence[Curve], repetitions: int) -> list[tuple[int, np.ndarray]]:
    """For so many configurations told, the means of what `foretold` gives, (4,)."""
    budget = curves[0].budget
    space = replayed_study(budget.study, budget.epochs, budget.samples).space
    features = Features(space)
    whole = [curve for curve in curves if curve.seed == 0 and curve.failure is None]
    rows = np.stack([features.row(encode(space, curve.values)) for curve in whole])
    scores = np.array([curve.scores["mean"] for curve in whole])
    found = []
    for count in _TOLD:
        drawn = [
            np.random.default_rng([count, repetition]).permutation(len(whole))[:count]
            for repetition in range(repetitions)
        ]
        each = [foretold(rows, scores, features, told) for told in drawn]
        found.append((count, np.nanmean(each, axis=0)))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--curves", type=Path, nargs="+", metavar="FILE", default=_RECORDED)
    parser.add_argument("--repetitions", type=int, default=24)
    options = parser.parse_args(arguments)
    print(f"{'':20}{'told':>6}{'error':>8}{'rank':>7}{'log density':>13}{'top 5 below':>13}")
    for file in options.curves:
        try:
            curves = read_curves(file)
        except UserError as error:
            parser.exit(2, f"{error}\n")
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConstantInputWarning)  # it expects the same of all
            found = measure(curves, options.repetitions)
        for told, (error, rank, density, below) in found:
            print(
                f"{curves[0].budget.study:20}{told:6}{100 * error:8.2f}{rank:7.2f}{density:13.2f}"
                f"{100 * below:13.1f}"
            )


if __name__ == "__main__":
    main()
