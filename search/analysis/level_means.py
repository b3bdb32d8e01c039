"""What a search says about each factor so far: level means after one common epoch.

One training run a configuration, with one seed, cannot prove an effect, so that every effect
comes with an interval, and says so where that cannot tell it from noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from search.analysis.basis import distinct_configurations
from search.analysis.estimates import (
    Cells,
    Estimator,
    level_differences,
    level_summaries,
    paired_estimate,
    spearman_trend,
    thirds_of,
    welch_estimate,
)
from search.analysis.factor_effect import FactorEffect
from search.text.words import level_label
from search.trials.record import Record
from spaces import Choice, Simplex, Space, Value


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
    scored = distinct_configurations(record for record in records if epoch in record.scores)
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


def _of_choice(
    name: str,
    epoch: float,
    options: Sequence[Value],
    values: Sequence[Value],
    scores: Sequence[float],
    cells: tuple[Sequence[str], Cells] | None,
) -> FactorEffect:
    groups: dict[str, list[float]] = {level_label(option): [] for option in options}
    for value, score in zip(values, scores, strict=True):
        groups[level_label(value)].append(score)
    estimate: Estimator = welch_estimate
    if cells is not None and len(cells[1]) >= 2 * len(options):  # at least two pairs
        estimate = partial(paired_estimate, cells[1], cells[0].index(name))
    differences = level_differences(groups, estimate)
    return FactorEffect(name, epoch, len(scores), level_summaries(groups), differences)


def _of_number(
    name: str, epoch: float, values: Sequence[float], scores: Sequence[float]
) -> FactorEffect:
    groups = {label: [scores[i] for i in members] for label, members in thirds_of(values)}
    differences = level_differences(groups, welch_estimate, more_looks=1)
    return FactorEffect(
        name,
        epoch,
        len(scores),
        level_summaries(groups),
        differences,
        spearman_trend(values, scores),
    )


def _balanced_grid(
    scored: Sequence[Record], space: Space, epoch: float
) -> tuple[list[str], Cells] | None:
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
