"""Computes where things lie in the report's two charts: learning curves and level means."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from search.analysis.factor_effect import FactorEffect, Level
from search.text.words import epoch_text, score_text
from search.trials.record import Record

# The learning curves' drawing area in user units; the page scales it to its own width.
WIDTH, HEIGHT = 720, 416
LEFT, RIGHT, TOP, BOTTOM = 84, 704, 16, 336


@dataclass(frozen=True)
class Tick:
    """`at` in user units, or in percent for level means."""

    at: float
    label: str


@dataclass(frozen=True)
class Curve:
    """The line of one trial's scores by epoch."""

    id: str
    kind: str
    """The trial's state, or "best"."""
    points: tuple[tuple[float, float], ...]
    title: str

    @property
    def path(self) -> str:
        return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in self.points)


@dataclass(frozen=True)
class LearningCurves:
    """All curves, the best last so that it lies on top."""

    curves: tuple[Curve, ...]
    epochs: tuple[Tick, ...]
    scores: tuple[Tick, ...]


@dataclass(frozen=True)
class Dot:
    """A level's mean with one standard error to each side, in percent of the width."""

    level: Level
    at: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class LevelMeans:
    """The dots of every factor on one scale, so that factors can be compared."""

    dots: dict[str, tuple[Dot, ...]]
    ticks: tuple[Tick, ...]


def learning_curves(records: Sequence[Record], epochs: int, best: str | None) -> LearningCurves:
    """The objective by epoch of every trial that has a score, from the first epoch or the first
    rung before it to the full budget."""
    scored = [record for record in records if record.scores]
    score_ticks = nice_ticks(score for record in scored for score in record.scores.values())
    epoch_ticks = _epoch_ticks(epochs)
    low, high = score_ticks[0], score_ticks[-1]
    first = min([1.0, *(epoch for record in scored for epoch in record.scores)])

    def x(epoch: float) -> float:
        return LEFT + (RIGHT - LEFT) * (epoch - first) / (epochs - first or 1)

    def y(score: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (score - low) / (high - low)

    curves = [
        Curve(
            record.id,
            "best" if record.id == best else record.state,
            tuple((x(epoch), y(score)) for epoch, score in sorted(record.scores.items())),
            f"trial {record.id}, {record.state}: {score_text(record.last_score)} after epoch "
            f"{epoch_text(record.epoch)}",
        )
        for record in scored
    ]
    order = ("stopped", "failed", "waiting", "paused", "running", "completed", "best")
    return LearningCurves(
        tuple(sorted(curves, key=lambda curve: order.index(curve.kind))),
        tuple(Tick(x(epoch), str(epoch)) for epoch in epoch_ticks),
        tuple(Tick(y(score), tick_label(score, score_ticks)) for score in score_ticks),
    )


def level_means_chart(effects: Sequence[FactorEffect]) -> LevelMeans:
    """Every level's mean and error bar between the lowest and the highest of all."""
    levels = [level for effect in effects for level in effect.levels if level.mean is not None]
    ticks = nice_ticks(end for level in levels for end in _ends(level))
    low, high = ticks[0], ticks[-1]

    def at(score: float) -> float:
        return 2 + 96 * (score - low) / (high - low)  # a margin, so that no dot is cut

    def dot(level: Level) -> Dot:
        if level.mean is None:
            return Dot(level, None, None, None)
        start, end = _ends(level)
        return Dot(level, at(level.mean), at(start), at(end))

    return LevelMeans(
        {effect.factor: tuple(map(dot, effect.levels)) for effect in effects},
        tuple(Tick(at(score), tick_label(score, ticks)) for score in ticks),
    )


def nice_ticks(values: Iterable[float], most: int = 5) -> list[float]:
    """Two to about `most` + 1 round numbers a step of 1, 2 or 5 times a power of ten apart, the
    first not above the values, the last not below them."""
    known = list(values) or [0.0, 1.0]
    low, high = min(known), max(known)
    rough = max(high - low, 1e-3) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def tick_label(value: float, ticks: Sequence[float]) -> str:
    """The label of a tick, with as many decimals as the step between the ticks needs."""
    decimals = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    return f"{value:.{decimals}f}"


def _ends(level: Level) -> tuple[float, float]:
    assert level.mean is not None
    error = level.standard_error or 0.0
    return level.mean - error, level.mean + error


def _epoch_ticks(epochs: int, most: int = 8) -> list[int]:
    step = next(s for p in range(7) for f in (1, 2, 5) if epochs <= (s := f * 10**p) * most)
    return sorted({1, *(epoch for epoch in range(step, epochs + 1, step) if epoch > step / 2)})
