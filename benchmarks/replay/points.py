"""Points of a study's space: drawn at random, and the report's sixteen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from spaces import Choice, Domain, Interval, IntInterval, Simplex, Space, Value, load_study


def default_point(space: Space) -> dict[str, Value]:
    """The default configuration, as a search runs it first."""
    active = space.config().active()
    return {name: active[name] for name in space.free if name in active}


def random_point(space: Space, random: np.random.Generator) -> dict[str, Value]:
    """The active free factors, each uniform over its domain (on a log scale where it has one)."""
    point: dict[str, Value] = {}
    for name, domain in space.free.items():
        if space.is_active(name, point):
            point[name] = _drawn(domain, random)
    return point


def neighbour(
    space: Space, point: Mapping[str, Value], random: np.random.Generator
) -> dict[str, Value]:
    """A point with about two factors drawn anew."""
    share = min(1.0, 2 / len(space.free))
    near: dict[str, Value] = {}
    for name, domain in space.free.items():
        if space.is_active(name, near):
            keeps = name in point and random.random() > share
            near[name] = point[name] if keeps else _drawn(domain, random)
    return near


def report_points(space: Space) -> Iterator[dict[str, Value]]:
    """The 16 configurations of the report with its learning rates, as far as the space has them:
    a factor that they do not name has its default."""
    report = load_study("paper16").space
    default = default_point(space)
    for chosen in report.grid():
        values = {**default, **report.fixed, **chosen}
        point: dict[str, Value] = {}
        for name, domain in space.free.items():
            if space.is_active(name, point):
                point[name] = _accepted(domain, values.get(name), default.get(name))
        yield point


def _accepted(domain: Domain, *values: Value) -> Value:
    """The first of the given values that the domain allows, else a usual one: its centre, its
    lowest value or its first option."""
    for value in values:
        try:
            return domain.accept(value)
        except ValueError:
            continue
    match domain:
        case Simplex():
            return domain.centre
        case Interval() | IntInterval():
            return domain.low
    assert domain.levels is not None
    return domain.levels[0]


def _drawn(domain: Domain, random: np.random.Generator) -> Value:
    match domain:
        case Choice(options):
            return options[int(random.integers(len(options)))]
        case Interval(low, high, log):
            if not log:
                return float(random.uniform(low, high))
            drawn = math.exp(random.uniform(math.log(low), math.log(high)))
            return min(max(drawn, low), high)
        case IntInterval(low, high, log):
            if not log:
                return int(random.integers(low, high + 1))
            return round(math.exp(random.uniform(math.log(low), math.log(high))))
        case Simplex():
            return domain.weights(tuple(float(u) for u in random.random(domain.free_numbers)))
    raise TypeError(f"cannot draw from {domain!r}")
