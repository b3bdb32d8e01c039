"""Each domain accepts what it describes and nothing else; simplex points are uniform."""

from __future__ import annotations

import math
import random
import statistics
import tomllib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from spaces import Choice, Domain, Interval, IntInterval, Simplex, Text, Texts, Value, toml_text

NAMES = ("a", "b", "c", "d", "e")
HUGE = 10**400  # TOML has no largest integer, a float has


def simplex(size: int) -> Simplex:
    return Simplex(NAMES[:size])


def units(low: float, high: float) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(low, high), min_size=1, max_size=4)


@given(units(0.0, 1.0))
@example([1.0, 0.5])
@example([0.0, 0.0, 1.0])
def test_a_simplex_point_has_no_negative_weight_and_sums_to_one(unit: list[float]) -> None:
    domain = simplex(len(unit) + 1)
    weights = domain.weights(tuple(unit))
    assert len(weights) == len(unit) + 1
    assert min(weights) >= 0
    assert math.isclose(sum(weights), 1, abs_tol=1e-12)
    assert domain.accept(weights) == weights


@given(units(0.01, 0.99))
def test_unit_numbers_come_back_from_their_simplex_point(unit: list[float]) -> None:
    domain = simplex(len(unit) + 1)
    assert domain.unit(domain.weights(tuple(unit))) == pytest.approx(tuple(unit), abs=1e-9)


@given(st.lists(st.floats(0.05, 1.0), min_size=2, max_size=5))
def test_a_simplex_point_comes_back_from_its_unit_numbers(parts: list[float]) -> None:
    domain = simplex(len(parts))
    weights = tuple(part / sum(parts) for part in parts)
    unit = domain.unit(weights)
    assert len(unit) == domain.free_numbers == len(parts) - 1
    assert domain.weights(unit) == pytest.approx(weights, abs=1e-9)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_a_corner_of_the_simplex_comes_back_from_its_unit_numbers(size: int) -> None:
    domain = simplex(size)
    for corner in range(size):
        weights = tuple(float(position == corner) for position in range(size))
        unit = domain.unit(weights)
        assert all(0 <= number <= 1 for number in unit)
        assert domain.weights(unit) == pytest.approx(weights, abs=1e-12)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_uniform_numbers_give_a_flat_dirichlet(size: int) -> None:
    domain, numbers, draws = simplex(size), random.Random(0), 20_000
    points = [
        domain.weights(tuple(numbers.random() for _ in range(size - 1))) for _ in range(draws)
    ]
    mean, variance = 1 / size, (size - 1) / (size**2 * (size + 1))
    error_of_mean = math.sqrt(variance / draws)
    for weights in zip(*points, strict=True):
        assert statistics.fmean(weights) == pytest.approx(mean, abs=4 * error_of_mean)
        assert statistics.pvariance(weights) == pytest.approx(variance, rel=0.05)


def test_the_centre_of_a_simplex_weighs_all_alike() -> None:
    assert simplex(4).centre == (0.25, 0.25, 0.25, 0.25)
    assert simplex(4).accept(simplex(4).centre) == simplex(4).centre


ACCEPTED: list[tuple[Domain, Value, Value]] = [
    (Choice((False, True)), True, True),
    (Choice((True, 1)), 1, 1),
    (Choice((True, 1)), 1.0, 1),
    (Choice(("all", 1, 2)), 2, 2),
    (Choice((0.5, 1.0)), 1, 1.0),
    (Choice(((0.5, 0.5), (1.0, 0.0))), [1, 0], (1.0, 0.0)),
    (Interval(0.0, 1.0), 1, 1.0),
    (Interval(0.0, 1.0), 0.25, 0.25),
    (IntInterval(1, 8), 1, 1),
    (IntInterval(1, 8), 8.0, 8),
    (simplex(3), [1, 0, 0], (1.0, 0.0, 0.0)),
    (simplex(3), (0.2, 0.3, 0.5), (0.2, 0.3, 0.5)),
    (simplex(3), [0.3333333, 0.3333333, 0.3333333], (0.3333333, 0.3333333, 0.3333333)),
    (Text("a folder"), " runs", " runs"),
]


@pytest.mark.parametrize(("domain", "value", "expected"), ACCEPTED)
def test_a_domain_gives_its_values_in_their_own_type(
    domain: Domain, value: Value, expected: Value
) -> None:
    accepted = domain.accept(value)
    assert accepted == expected
    assert type(accepted) is type(expected)
    if isinstance(accepted, tuple):
        assert all(type(number) is float for number in accepted)


REFUSED: list[tuple[Domain, list[Value]]] = [
    (Choice((False, True)), [0, 1, 1.0, "true", None, [True]]),
    (Choice((1, 2)), [True, 3, "1", 1.5]),
    (Choice((0.5, 1.0)), [True, 0.75, "1.0", HUGE, math.nan]),
    (Choice(("mean", "cls")), ["Mean", "", None, ["mean"], 0]),
    (Choice(((1.0, 0.0),)), [[True, False], [1.0], [0.0, 1.0], 1.0, "10"]),
    (Interval(0.0, 1.0), [-1e-9, 1.0000001, math.nan, math.inf, HUGE, True, "0.5", None, [0.5]]),
    (IntInterval(1, 8), [0, 9, 1.5, math.nan, math.inf, HUGE, True, "1", None, [1]]),
    (
        simplex(3),
        [
            [0.5, 0.5],
            [0.25, 0.25, 0.25, 0.25],
            [0.5, 0.5, 0.1],
            [0.3333, 0.3333, 0.3333],
            [1.5, -0.5, 0.0],
            [True, False, False],
            ["1", "0", "0"],
            [math.nan, 0.5, 0.5],
            [math.inf, 0.0, 0.0],
            [HUGE, 0, 0],
            [[1.0], [0.0], [0.0]],
            "100",
            1.0,
            None,
        ],
    ),
    (Text("a folder"), ["", "  \n", 1, True, None, ["runs"]]),
]


@pytest.mark.parametrize(
    ("domain", "value"), [(domain, value) for domain, values in REFUSED for value in values]
)
def test_a_domain_refuses_anything_else_and_says_what_it_allows(
    domain: Domain, value: Value
) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is compared below
        domain.accept(value)
    assert str(refused.value) == domain.describe()


NUMBERS = st.integers(-3, 12) | st.floats(-1.0, 12.0) | st.sampled_from([HUGE, 1e300])
SCALARS = NUMBERS | st.booleans() | st.none() | st.sampled_from(["", " ", "mean", "all", "1"])
JSON_VALUES = SCALARS | st.lists(SCALARS, max_size=3)


@pytest.mark.parametrize(
    "domain",
    [
        Choice((False, True)),
        Choice(("all", 1, 2, "none")),
        Choice((0.5, 1.0)),
        Interval(0.0, 10.0),
        IntInterval(1, 8, log=True),
        Text("a folder"),
    ],
)
@given(value=JSON_VALUES)
def test_the_json_schema_of_a_domain_allows_what_the_domain_accepts(
    domain: Domain, value: Value
) -> None:
    assert accepts(domain, value) == Draft202012Validator(domain.schema()).is_valid(value)


@given(st.lists(NUMBERS, max_size=4) | st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_the_json_schema_of_a_simplex_allows_every_point(numbers: list[float]) -> None:
    schema = Draft202012Validator(simplex(3).schema())
    if len(numbers) == 2:
        assert schema.is_valid(list(simplex(3).weights((numbers[0] % 1, numbers[1] % 1))))
    if accepts(simplex(3), numbers):
        assert schema.is_valid(numbers)


def accepts(domain: Domain, value: Value) -> bool:
    try:
        accepted = domain.accept(value)
    except ValueError:
        return False
    assert domain.accept(accepted) == accepted
    return True


def test_only_a_choice_can_be_listed() -> None:
    assert Choice((3, 1, 2)).levels == (3, 1, 2)
    for domain in (Interval(0, 1), IntInterval(0, 1), simplex(2), Text("a word")):
        assert domain.levels is None


def test_what_is_finite_has_its_values_without_listing_them() -> None:
    assert Choice((3, 1, 2)).values == (3, 1, 2)
    integers = IntInterval(2, 2**31).values
    assert integers is not None
    assert (len(integers), integers[0], integers[-1]) == (2**31 - 1, 2, 2**31)
    assert Interval(0.5, 0.5).values == (0.5,)
    assert simplex(1).values == ((1.0,),)
    for domain in (Interval(0, 1), simplex(2), Text("a word"), Texts("words")):
        assert domain.values is None


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Choice(()), "at least one option"),
        (lambda: Choice((True, False, True)), r"each option once, got \[true, false, true\]"),
        (lambda: Interval(2.0, 1.0), "low <= high must hold, got low=2, high=1"),
        (lambda: IntInterval(9, 8), "low <= high must hold, got low=9, high=8"),
        (lambda: Interval(0.0, 1.0, log=True), "a log scale needs low > 0, got low=0"),
        (lambda: Interval(math.nan, 1.0), "low <= high must hold"),
    ],
)
def test_a_domain_that_makes_no_sense_cannot_be_made(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        (Choice(("all", 1, True)), 'one of "all", 1, true'),
        (Interval(1e-7, 0.01, log=True), "a number from 1e-07 to 0.01 (log scale)"),
        (Interval(0.0, 0.0100000001), "a number from 0 to 0.0100000001"),
        (IntInterval(2, 1_000_000), "an integer from 2 to 1000000"),
        (simplex(2), "2 weights >= 0 that sum to 1, for a, b"),
    ],
)
def test_a_domain_says_in_words_what_it_allows(domain: Domain, words: str) -> None:
    assert domain.describe() == words


TEXT = st.text(st.characters(exclude_characters="\x7f"))  # TOML wants DEL escaped, JSON does not
FLOATS = st.floats(allow_nan=False)
TOML_VALUES = st.booleans() | st.integers() | FLOATS | TEXT | st.lists(FLOATS | TEXT, max_size=4)


@given(TOML_VALUES)
@example(0.1 + 0.2)
@example('a "quoted"\nword')
def test_a_value_is_read_back_from_its_text(value: Value) -> None:
    read = tomllib.loads(f"value = {toml_text(value)}")["value"]
    assert read == value
    assert type(read) is type(value)


def test_weights_that_differ_in_the_last_place_have_different_texts() -> None:
    assert toml_text((0.12345671, 0.5)) != toml_text((0.12345672, 0.5))
