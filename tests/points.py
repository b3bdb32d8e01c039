"""Random points of a space, for property tests."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from spaces import Choice, Domain, Interval, IntInterval, Simplex, Space, Value


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
