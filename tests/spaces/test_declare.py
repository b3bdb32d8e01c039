"""A declared table is built from what a user wrote, or one sentence says what is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from spaces import Interval, IntInterval, Text, UserError, keys, unknown
from spaces.declare import Condition, build, key


@dataclass(frozen=True, kw_only=True)
class Oven:
    minutes: int = key(30, IntInterval(1, 600), "how long", source="a cookbook")
    degrees: float = key(180.0, Interval(50.0, 300.0), "how hot")
    dish: str | None = key(None, Text("a dish"), "what")


def test_keys_are_named_after_their_fields_in_order() -> None:
    assert list(keys(Oven)) == ["minutes", "degrees", "dish"]
    minutes = keys(Oven)["minutes"]
    assert (minutes.name, minutes.default, minutes.domain) == ("minutes", 30, IntInterval(1, 600))
    assert (minutes.meaning, minutes.source) == ("how long", "a cookbook")


def test_what_is_left_out_has_its_default() -> None:
    assert build(Oven, {}, "here") == Oven(minutes=30, degrees=180.0, dish=None)
    assert build(Oven, {"degrees": 200}, "here") == Oven(degrees=200.0)


def test_values_are_built_in_their_own_type() -> None:
    oven = build(Oven, {"minutes": 45.0, "degrees": 200, "dish": None}, "here")
    assert type(oven.minutes) is int
    assert type(oven.degrees) is float
    assert oven.dish is None


def test_only_a_key_without_a_default_may_be_none() -> None:
    assert [name for name, declared in keys(Oven).items() if declared.optional] == ["dish"]
    with pytest.raises(UserError, match="minutes must be an integer from 1 to 600, but it is none"):
        build(Oven, {"minutes": None}, "here")


def test_an_error_names_place_key_value_and_what_is_allowed() -> None:
    with pytest.raises(UserError) as refused:
        build(Oven, {"minutes": 601}, "oven.toml [oven]")
    assert str(refused.value) == (
        "oven.toml [oven]: minutes must be an integer from 1 to 600, but it is 601."
    )


def test_the_value_in_an_error_is_not_rounded_into_what_is_allowed() -> None:
    with pytest.raises(UserError, match=r"but it is 300\.00000001\."):
        build(Oven, {"degrees": 300.00000001}, "here")


def test_an_unknown_key_is_told_the_nearest_one() -> None:
    with pytest.raises(UserError) as refused:
        build(Oven, {"minuets": 3}, "oven.toml [oven]")
    assert str(refused.value) == (
        "Unknown key 'minuets' in oven.toml [oven]; did you mean 'minutes'?"
    )


def test_where_nothing_is_near_all_names_are_given() -> None:
    assert str(unknown("key", "xyz", ["minutes", "dish"])) == (
        "Unknown key 'xyz'; available are minutes, dish."
    )


def test_a_condition_holds_for_the_values_it_names() -> None:
    condition = Condition("dish", ("bread", "cake"))
    assert condition.holds({"dish": "cake"})
    assert not condition.holds({"dish": "soup"})
    assert condition.describe() == 'dish is "bread" or "cake"'


def test_several_conditions_are_told_together() -> None:
    both = (Condition("dish", ("bread",)), Condition("hot", (True,)))
    field = key(1, IntInterval(1, 9), "loaves", when=both)
    assert field.metadata["key"].active_where == 'dish is "bread" and hot is true'
    one = key(1, IntInterval(1, 9), "loaves", when=both[0])
    assert one.metadata["key"].when == both[:1]
    assert key(1, IntInterval(1, 9), "loaves").metadata["key"].active_where == ""
