"""Random spaces and points of them, for property tests."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import strategies as st

from spaces import Choice, Domain, Interval, IntInterval, Simplex, Space, Value, factors

_WEIGHTS = [[0.5, 0.25, 0.25], [0.2, 0.3, 0.5], [1, 0, 0]]


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """A space of any declared factors over parts of their domains, the others fixed anywhere."""
    table: dict[str, Any] = {}
    for name, factor in factors().items():
        if not factor.searchable or not draw(st.booleans(), label=f"{name} is free"):
            continue
        match factor.domain:
            case Choice(options):
                listed = st.lists(st.sampled_from(options), min_size=1, unique_by=repr)
                table[name] = draw(listed)
            case Interval(low, high) | IntInterval(low, high):
                kind = st.floats if isinstance(factor.domain, Interval) else st.integers
                ends = draw(st.tuples(kind(low, high), kind(low, high)))
                table[name] = {"low": min(ends), "high": max(ends)}
            case Simplex():
                table[name] = draw(st.sampled_from(["free", _WEIGHTS]))
    for name, factor in reversed(factors().items()):
        for condition in factor.when if name in table else ():
            allowed = table.setdefault(condition.factor, [])
            if not set(allowed) & set(condition.among):
                allowed.append(draw(st.sampled_from(condition.among)))
    for name, factor in factors().items():
        if name not in table and draw(st.booleans(), label=f"{name} is set"):
            table[name] = draw(values_of(factor.domain))
    return Space.parse(table, "here", meant=())


@st.composite
def points(draw: st.DrawFn, space: Space) -> dict[str, Value]:
    """Values of the active free factors, anywhere in their domains."""
    values: dict[str, Value] = {}
    for name, domain in space.free.items():
        if space.is_active(name, values):
            values[name] = draw(values_of(domain))
    return values


def values_of(domain: Domain) -> st.SearchStrategy[Value]:
    """Where the domain is logarithmic, so are the values."""
    match domain:
        case Choice(options):
            return st.sampled_from(options)
        case IntInterval(low, high):
            return st.integers(low, high)
        case Interval(low, high, True):
            exponents = st.floats(math.log(low), math.log(high))
            return exponents.map(lambda x: min(max(math.exp(x), low), high))
        case Interval(low, high):
            return st.floats(low, high)
        case Simplex():
            unit = st.floats(0.0, 1.0)
            return st.tuples(*[unit] * domain.free_numbers).map(domain.weights)
    raise TypeError(f"no values for {domain!r}")


def assert_near(actual: dict[str, Value], expected: dict[str, Value]) -> None:
    """Equal in type and value; numbers, which are computed, to 9 digits."""
    assert list(actual) == list(expected)
    for name, value in expected.items():
        assert type(actual[name]) is type(value), name
        if isinstance(value, float | tuple):
            assert actual[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name
        else:
            assert actual[name] == value, name
