"""What replays say of a search: how good what it would return is, after how many epochs."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from statistics import median
from typing import Any

from scipy.stats import mannwhitneyu, quantile_test

from benchmarks.replay.simulated_time import Trace

HALF_A_POINT = 0.005


def score_at(trace: Trace, epochs: int) -> float:
    """The true score of what the search would return then; minus infinity before it has any."""
    place = bisect_right(trace.moments, epochs, key=lambda moment: moment.epochs)
    return trace.moments[place - 1].score if place else -math.inf


def epochs_to(trace: Trace, score: float) -> float:
    """Epochs in total until the search would first return something at least so good; infinite
    where it never did."""
    return next((float(m.epochs) for m in trace.moments if m.score >= score), math.inf)


def median_epochs_to(traces: Sequence[Trace], score: float) -> tuple[float, float, float]:
    """The median, infinite where at least half of the replays never did; and the ends of its 95%
    confidence interval, which are order statistics (Conover 1999, Practical Nonparametric
    Statistics, 3.2): the replays are a sample of what chance may bring."""
    epochs = [epochs_to(trace, score) for trace in traces]
    between = quantile_test(epochs, p=0.5).confidence_interval(0.95)
    return median(epochs), float(between.low), float(between.high)


def budgets(epochs: int, full: int) -> list[int]:
    """The numbers of epochs after which searches are compared: one full training, two, four ... and
    the whole budget."""
    doubled = [full * 2**power for power in range(20)]
    return [*(budget for budget in doubled if budget < epochs), epochs]


def anytime(traces: Sequence[Trace], at: Sequence[int]) -> list[dict[str, float | None]]:
    """Median and quartiles of the score at each budget; none where a search has nothing yet."""
    rows: list[dict[str, float | None]] = []
    for epochs in at:
        scores = sorted(score_at(trace, epochs) for trace in traces)
        quarter = len(scores) // 4
        found = (scores[quarter], median(scores), scores[-1 - quarter])
        named = zip(("lower", "median", "upper"), found, strict=True)
        rows.append({name: s if math.isfinite(s) else None for name, s in named})
    return rows


def worse_at(ours: Sequence[Trace], other: Sequence[Trace], at: Sequence[int]) -> list[int]:
    """The budgets at which ours is worse by more than chance: Mann and Whitney's one-sided test at
    the 5% level, shared out over the budgets (Bonferroni)."""
    found = []
    for epochs in at:
        mine, theirs = ([score_at(t, epochs) for t in traces] for traces in (ours, other))
        if mine == theirs:
            continue
        p = mannwhitneyu(mine, theirs, alternative="less").pvalue
        if p < 0.05 / len(at):
            found.append(epochs)
    return found


def summary(traces: Sequence[Trace], best: float, workers: int, at: Sequence[int]) -> Any:
    """One method's line of the result; epochs that were never reached are none, and so are both
    ends of an interval that so few replays do not give."""
    there = median_epochs_to(traces, best - HALF_A_POINT)
    middle, *between = (epochs if math.isfinite(epochs) else None for epochs in there)
    return {
        "median_epochs": middle,
        "median_between": between,
        "reached": sum(math.isfinite(epochs_to(t, best - HALF_A_POINT)) for t in traces),
        "repetitions": len(traces),
        "trials": median(trace.trials for trace in traces),
        "busy": median(trace.busy(workers) for trace in traces),
        "method_ms_a_trial": median(1000 * t.method_seconds / max(t.trials, 1) for t in traces)
        or None,  # Syne Tune counts its own
        "anytime": anytime(traces, at),
    }
