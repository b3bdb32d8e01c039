"""Searches that stop nothing: one configuration after another, each to the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from benchmarks.replay.points import default_point, random_point
from spaces import Choice, Domain, Interval, IntInterval, Simplex, Space, Value


class ToTheEnd:
    """A `benchmarks.replay.simulated_time.Method`."""

    def __init__(self, points: Iterable[Mapping[str, Value]]) -> None:
        self._points = enumerate(points)

    def next(self) -> tuple[str, Mapping[str, Value]] | None:
        given = next(self._points, None)
        return None if given is None else (str(given[0]), given[1])

    def report(self, trial: str, epoch: int, score: float) -> bool:
        return True

    def end(self, trial: str) -> None:
        pass

    def fail(self, trial: str) -> None:
        pass


def random_points(space: Space, seed: int, default_first: bool) -> Iterator[Mapping[str, Value]]:
    random = np.random.default_rng(seed)
    if default_first:
        yield default_point(space)
    while True:
        yield random_point(space, random)


def grid_points(space: Space, seed: int) -> Iterator[Mapping[str, Value]]:
    """A grid in random order: every option, the two ends and the middle of every interval, and of
    a simplex its centre and corners. Points may come again in one too large to list."""
    lattice = Space({name: Choice(_levels(d)) for name, d in space.free.items()}, space.fixed)
    random = np.random.default_rng(seed)
    while True:
        yield random_point(lattice, random)


def _levels(domain: Domain) -> tuple[Value, ...]:
    match domain:
        case Interval(low, high, log):
            return low, (low * high) ** 0.5 if log else (low + high) / 2, high
        case IntInterval(low, high, log):
            middle = round((low * high) ** 0.5 if log else (low + high) / 2)
            return tuple(sorted({low, middle, high}))
        case Simplex(names):
            corners = (tuple(float(a == b) for b in names) for a in names)
            return domain.centre, *corners
    assert domain.levels is not None
    return domain.levels
