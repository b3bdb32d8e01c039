"""Points of a space as rows of numbers: to draw many at once, and for models of what they score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search.sampler.integers import Integers
from search.trials.distributions import decode, distributions
from spaces import Condition, Domain, Simplex, Space, Value, factors, toml_text

_APART = math.sqrt(0.5)  # two options differ in two of their columns: together a distance of 1


class Features:
    """A row has a number for each of Optuna's parameters, in order of declaration: that of an
    option; of a number its place from 0 to 1, in the logarithm where it is sampled so; NaN where
    the parameter is not active.

    An integer has one place, to the bit, wherever its row comes from: that is how a point that was
    tried is known again. What has one value only has the middle.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        by_factor = {name: distributions(name, domain) for name, domain in space.free.items()}
        self.parameters: dict[str, BaseDistribution] = {
            parameter: distribution
            for found in by_factor.values()
            for parameter, distribution in found.items()
        }
        self._sizes = np.array([_options(d) for d in self.parameters.values()], dtype=int)
        self._integers = {
            column: _integers(distribution)
            for column, distribution in enumerate(self.parameters.values())
            if isinstance(distribution, IntDistribution)
        }
        self._single = np.array(
            [_options(d) == 0 and d.single() for d in self.parameters.values()], dtype=bool
        )
        self._options: dict[str, dict[str, int]] = {
            name: {toml_text(option): i for i, option in enumerate(distribution.choices)}
            for name, distribution in self.parameters.items()
            if isinstance(distribution, CategoricalDistribution)
        }
        ends = np.cumsum([len(found) for found in by_factor.values()])
        self._columns = {
            name: range(end - len(found), end)
            for (name, found), end in zip(by_factor.items(), ends.tolist(), strict=True)
        }

    def row(self, parameters: Mapping[str, Value]) -> np.ndarray:
        """float64 (parameters,): the inverse of `point`."""
        return np.array(
            [
                self._number(name, distribution, parameters[name])
                if name in parameters
                else math.nan
                for name, distribution in self.parameters.items()
            ]
        )

    def point(self, row: np.ndarray) -> dict[str, Value]:
        """The values of a row's active parameters, as Optuna has them."""
        return {
            name: _value(distribution, number)
            for (name, distribution), number in zip(
                self.parameters.items(), row.tolist(), strict=True
            )
            if not math.isnan(number)
        }

    def drawn(self, count: int, random: np.random.Generator) -> np.ndarray:
        """float64 (count, parameters): each parameter uniform over its domain, on a log scale where
        it has one. The two ends of an integer interval come half as often as each integer between
        them."""
        return self.at(random.random((count, len(self._sizes))))

    def at(self, places: np.ndarray) -> np.ndarray:
        """Points of the unit cube as rows: options are equal parts of a side, and integers parts
        as large as Optuna draws them likely."""
        return self._without_inactive(self._anew(places))

    def near(
        self, rows: np.ndarray, count: int, width: float, random: np.random.Generator
    ) -> np.ndarray:
        """float64 (rows * count, parameters): each row so many times with about two parameters
        changed, options drawn anew and numbers moved by about `width`, integers at least to the
        next one."""
        rows = np.repeat(rows, count, axis=0)
        anew = self._anew(random.random(rows.shape))
        moved = np.clip(rows + width * random.standard_normal(rows.shape), 0.0, 1.0)
        for column, integers in self._integers.items():
            moved[:, column] = integers.places(integers.moved(rows[:, column], moved[:, column]))
        changed = np.where((self._sizes > 0) | self._single | np.isnan(rows), anew, moved)
        changes = random.random(rows.shape) < 2 / max(2, rows.shape[1])
        return self._without_inactive(np.where(changes | np.isnan(rows), changed, rows))

    def _anew(self, uniform: np.ndarray) -> np.ndarray:
        """Numbers from 0 to 1 as rows in which all is active."""
        options = np.minimum(np.floor(uniform * self._sizes), self._sizes - 1)
        rows = np.where(self._sizes > 0, options, np.where(self._single, 0.5, uniform))
        for column, integers in self._integers.items():
            rows[:, column] = integers.places(integers.drawn(uniform[:, column]))
        return rows

    def coordinates(self, rows: np.ndarray) -> np.ndarray:
        """float64 (rows, coordinates): places as they are, options one-hot so that two of them are
        a distance of 1 apart. What is not active is at the middle, or is no option."""
        return np.hstack([self._coordinates(rows, column) for column in range(len(self._sizes))])

    def features(self, rows: np.ndarray) -> np.ndarray:
        """float64 (rows, features): coordinates for a Euclidean distance, where a simplex is not
        the numbers that it is sampled by but its weights, none of which comes before another: two
        corners are a distance of 1 apart."""
        return np.hstack(self._blocks(rows))

    @cached_property
    def groups(self) -> np.ndarray:
        """int (features,): the number of the parameter or simplex that a feature is of."""
        widths = [block.shape[1] for block in self._blocks(np.empty((0, len(self._sizes))))]
        return np.repeat(np.arange(len(widths)), widths)

    def _blocks(self, rows: np.ndarray) -> list[np.ndarray]:
        """float64 (rows, features of one parameter or simplex), in order of declaration."""
        blocks = []
        for name, columns in self._columns.items():
            domain = self._space.free[name]
            if isinstance(domain, Simplex):
                blocks.append(_weights(domain, rows[:, columns]))
            else:
                blocks += [self._coordinates(rows, column) for column in columns]
        return blocks

    def _coordinates(self, rows: np.ndarray, column: int) -> np.ndarray:
        numbers, size = rows[:, [column]], self._sizes[column]
        if size:
            return np.where(numbers == np.arange(size), _APART, 0.0)
        return np.where(np.isnan(numbers), 0.5, numbers)

    def _number(self, name: str, distribution: BaseDistribution, value: Value) -> float:
        if name in self._options:
            return self._options[name][toml_text(value)]
        if isinstance(distribution, IntDistribution):
            return _integers(distribution).place(value)
        assert isinstance(distribution, FloatDistribution)
        low, high = _ends(distribution)
        scaled = math.log(value) if distribution.log else value
        return (scaled - low) / (high - low) if high > low else 0.5

    def _without_inactive(self, rows: np.ndarray) -> np.ndarray:
        """The rows, with NaN for each parameter that is not active given the others."""
        active: dict[str, np.ndarray] = {}
        mask = np.empty(rows.shape, dtype=bool)
        for name, columns in self._columns.items():
            mask[:, columns] = self._active(name, rows, active)[:, None]
        return np.where(mask, rows, math.nan)

    def _active(self, name: str, rows: np.ndarray, known: dict[str, np.ndarray]) -> np.ndarray:
        """bool (rows,): `spaces.is_active` of many points at once."""
        if name not in known:
            known[name] = np.ones(len(rows), dtype=bool)
            for condition in factors()[name].when:
                known[name] &= self._active(condition.factor, rows, known)
                known[name] &= self._meets(condition, rows)
        return known[name]

    def _meets(self, condition: Condition, rows: np.ndarray) -> np.ndarray:
        """bool (rows,): where the factor has one of the values that a condition names."""
        name = condition.factor
        if name not in self._columns:
            return np.full(len(rows), condition.holds(self._space.fixed))
        own, which = np.unique(rows[:, self._columns[name]], axis=0, return_inverse=True)
        domain = self._space.free[name]
        values = [self._decoded(name, domain, numbers) for numbers in own.tolist()]
        return np.array([condition.holds({name: value}) for value in values])[which.reshape(-1)]

    def _decoded(self, name: str, domain: Domain, numbers: list[float]) -> Value:
        found = distributions(name, domain).items()
        return decode(domain, {p: _value(d, n) for (p, d), n in zip(found, numbers, strict=True)})


def _weights(domain: Simplex, places: np.ndarray) -> np.ndarray:
    """float64 (rows, weights): the weights of a simplex, scaled so that two corners are a distance
    of 1 apart; its centre where the factor is not active."""
    weights = [
        domain.centre if math.isnan(row[0]) else domain.weights(tuple(row))
        for row in places.tolist()
    ]
    return _APART * np.array(weights).reshape(-1, len(domain.names))


def _options(distribution: BaseDistribution) -> int:
    """How many options a parameter has; none where it is a number."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    return 0


def _integers(distribution: IntDistribution) -> Integers:
    return Integers(distribution.low, distribution.high, distribution.log)


def _ends(distribution: FloatDistribution) -> tuple[float, float]:
    low, high = distribution.low, distribution.high
    return (math.log(low), math.log(high)) if distribution.log else (low, high)


def _value(distribution: BaseDistribution, number: float) -> Value:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(number)]
    if isinstance(distribution, IntDistribution):
        return int(_integers(distribution).nearest(np.array([number]))[0])
    assert isinstance(distribution, FloatDistribution)
    low, high = _ends(distribution)
    found = low + number * (high - low)
    found = math.exp(found) if distribution.log else found
    return min(max(found, distribution.low), distribution.high)
