"""The sets of values that a key may take.

Each domain checks a value (`accept`), says in words what it allows (`describe`), and gives its
JSON schema. A domain with finitely many values has these as `values`, and where it lists them
one by one, as a choice does, also as `levels`; the others have None.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

Value: TypeAlias = Any  # what a study file can hold: str, bool, int, float or a tuple of these


class Domain(Protocol):
    """The interface of every domain."""

    @property
    def levels(self) -> tuple[Value, ...] | None:
        """The values of a list in the order of it, or None where there is none."""

    @property
    def values(self) -> Sequence[Value] | None:
        """All values in order, without listing them: an integer interval may have millions. None
        where there is no end of them."""

    def accept(self, value: Value) -> Value:
        """The value in its own type (an int becomes a float, a list a tuple).

        Raises:
            ValueError: if the value is not in the domain; the text says what is allowed.
        """

    def describe(self) -> str:
        """What is allowed, in words that follow "must be"."""

    def schema(self) -> dict[str, Any]:
        """The JSON schema of one value."""


_LISTED = 24  # options of a choice that a sentence lists
_SHOWN = 100  # characters of a text that a sentence shows


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(number: float) -> str:
    return f"{number:.12g}"


@dataclass(frozen=True)
class Choice:
    """One of a few values. `True` and `1` are different options."""

    options: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not self.options:
            raise ValueError("a choice needs at least one option")
        if len({(type(option), option) for option in self.options}) < len(self.options):
            raise ValueError(f"a choice lists each option once, got {shown(self.options)}")

    @property
    def levels(self) -> tuple[Value, ...] | None:
        return self.options

    @property
    def values(self) -> Sequence[Value] | None:
        return self.options

    def accept(self, value: Value) -> Value:
        for option in self.options:
            if type(option) is type(value) and option == value:
                return option
            if _same_numbers(option, value):
                return option
        raise ValueError(self.describe())

    def describe(self) -> str:
        listed = ", ".join(shown(option) for option in self.options[:_LISTED])
        more = len(self.options) - _LISTED
        return f"one of {listed}" + (f" and {more} more" if more > 0 else "")

    def schema(self) -> dict[str, Any]:
        return {"enum": [list(o) if isinstance(o, tuple) else o for o in self.options]}


def _same_numbers(option: Value, value: Value) -> bool:
    """Whether a number was written as another type of number, or a tuple of floats as a list."""
    if isinstance(option, tuple) and isinstance(value, list | tuple):
        return tuple(value) == option and all(map(_is_number, value))
    return _is_number(option) and _is_number(value) and bool(value == option)


@dataclass(frozen=True)
class Interval:
    """A real number from `low` to `high`, both included; `log` says how it is sampled."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high, self.log)

    @property
    def levels(self) -> tuple[Value, ...] | None:
        return None

    @property
    def values(self) -> Sequence[Value] | None:
        return (self.low,) if self.low == self.high else None

    def accept(self, value: Value) -> Value:
        if not _is_number(value) or not self.low <= value <= self.high:
            raise ValueError(self.describe())
        return float(value)

    def describe(self) -> str:
        scale = " (log scale)" if self.log else ""
        return f"a number from {_short(self.low)} to {_short(self.high)}{scale}"

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class IntInterval:
    """An integer from `low` to `high`, both included; `log` says how it is sampled."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high, self.log)

    @property
    def levels(self) -> tuple[Value, ...] | None:
        return None

    @property
    def values(self) -> Sequence[Value] | None:
        return range(self.low, self.high + 1)

    def accept(self, value: Value) -> Value:
        inside = _is_number(value) and self.low <= value <= self.high
        if not inside or value != int(value):
            raise ValueError(self.describe())
        return int(value)

    def describe(self) -> str:
        scale = " (log scale)" if self.log else ""
        return f"an integer from {self.low} to {self.high}{scale}"

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


def _check_bounds(low: float, high: float, log: bool) -> None:
    if not low <= high:
        raise ValueError(f"low <= high must hold, got low={_short(low)}, high={_short(high)}")
    if log and low <= 0:
        raise ValueError(f"a log scale needs low > 0, got low={_short(low)}")


@dataclass(frozen=True)
class Simplex:
    """One weight a name, none negative, together 1."""

    names: tuple[str, ...]

    @property
    def levels(self) -> tuple[Value, ...] | None:
        return None

    @property
    def values(self) -> Sequence[Value] | None:
        return None if self.free_numbers else (self.centre,)

    @property
    def free_numbers(self) -> int:
        return len(self.names) - 1

    @property
    def centre(self) -> tuple[float, ...]:
        return (1 / len(self.names),) * len(self.names)

    def accept(self, value: Value) -> Value:
        if (
            not isinstance(value, list | tuple)
            or len(value) != len(self.names)
            or not all(_is_number(weight) and 0 <= weight <= 1 for weight in value)
            or not math.isclose(sum(value), 1, abs_tol=1e-6)
        ):
            raise ValueError(self.describe())
        return tuple(float(weight) for weight in value)

    def describe(self) -> str:
        return f"{len(self.names)} weights >= 0 that sum to 1, for {', '.join(self.names)}"

    def schema(self) -> dict[str, Any]:
        size = len(self.names)
        weight = {"type": "number", "minimum": 0, "maximum": 1}
        return {"type": "array", "items": weight, "minItems": size, "maxItems": size}

    def weights(self, unit: tuple[float, ...]) -> tuple[float, ...]:
        """The point of the simplex at `unit`, K-1 numbers in [0, 1].

        Stick breaking: the k-th weight takes the share 1 - (1 - u)^(1 / (K - k)) of what is left,
        the inverse of the distribution function of Beta(1, K - k). Uniform numbers give the
        uniform (flat Dirichlet) distribution (Devroye 1986, Non-Uniform Random Variate
        Generation, ch. V.4 and XI.4).
        """
        left, weights = 1.0, []
        for position, number in enumerate(unit, start=1):
            weight = left * (1 - (1 - number) ** (1 / (len(self.names) - position)))
            weights.append(weight)
            left -= weight
        return (*weights, max(left, 0.0))

    def unit(self, weights: tuple[float, ...]) -> tuple[float, ...]:
        """The K-1 numbers in [0, 1] whose point is `weights`: the inverse of `weights`."""
        left, unit = 1.0, []
        for position, weight in enumerate(weights[:-1], start=1):
            share = min(weight / left, 1.0) if left > 1e-12 else 0.0
            unit.append(1 - (1 - share) ** (len(self.names) - position))
            left -= weight
        return tuple(unit)


@dataclass(frozen=True)
class Text:
    """Any text that is not empty and that a file in UTF-8 can hold; `what` says what it stands
    for."""

    what: str

    @property
    def levels(self) -> tuple[Value, ...] | None:
        return None

    @property
    def values(self) -> Sequence[Value] | None:
        return None

    def accept(self, value: Value) -> Value:
        if not is_text(value):
            raise ValueError(self.describe())
        return value

    def describe(self) -> str:
        return self.what

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"\S"}


def is_text(value: Value) -> bool:
    """Of no path is any part a null character or half a surrogate pair, which is what Python makes
    of an argument that is not UTF-8."""
    return (
        isinstance(value, str)
        and bool(value.strip())
        and not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)
    )


@dataclass(frozen=True)
class Texts:
    """A list of texts that are not empty; `what` says what it stands for."""

    what: str

    @property
    def levels(self) -> tuple[Value, ...] | None:
        return None

    @property
    def values(self) -> Sequence[Value] | None:
        return None

    def accept(self, value: Value) -> Value:
        if not isinstance(value, list | tuple) or not all(map(is_text, value)):
            raise ValueError(self.describe())
        return tuple(value)

    def describe(self) -> str:
        return self.what

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "string", "pattern": r"\S"}}


def toml_text(value: Value) -> str:
    """A value as a study file writes it: different values have different texts."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_text(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml_text(v)}" for name, v in value.items()) + "}"
    return str(value)


def shown(value: Value) -> str:
    """A value as a sentence shows it: as a study file writes it, the beginning of a long one."""
    try:
        return shortened(toml_text(value))
    except RecursionError:
        return "nested too deeply to show"
    except ValueError:  # Python writes no integer of more than 4300 digits.
        return "a number of thousands of digits"


def shortened(text: str) -> str:
    """A text from outside in one line of a sentence: the beginning of a long one, and without
    what a terminal would take for a command."""
    start = text if len(text) <= _SHOWN else text[: _SHOWN // 2]
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in start)
    return plain if start == text else f"{plain} ... ({len(text)} characters)"
