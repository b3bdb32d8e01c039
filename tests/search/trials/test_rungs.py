"""Asynchronous successive halving, by sequences worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.trials.rungs import Rungs
from spaces import parse_study

VALUES = st.lists(st.floats(-1, 1), min_size=1, max_size=30)


def arrive(rungs: Rungs, epoch: int, values: list[float]) -> list[bool]:
    """Whether each trial goes on, as one after the other arrives at a rung."""
    decisions = []
    for value in values:
        trial = f"{len(rungs.values.get(epoch, {})):04d}"
        rungs.record(trial, epoch, value)
        decisions.append(rungs.goes_on(trial, epoch))
    return decisions


@pytest.mark.parametrize(
    ("grace", "factor", "epochs", "levels"),
    [
        (1, 3, 25, (1, 3, 9)),
        (1, 3, 9, (1, 3)),  # the full budget is no rung
        (1, 3, 10, (1, 3, 9)),
        (2, 2, 16, (2, 4, 8)),
        (4, 3, 4, ()),
        (1, 2, 1, ()),
        (0.25, 3, 8, (0.25, 0.75, 2.25, 6.75)),
        (0.5, 2, 4, (0.5, 1, 2)),
        (1 / 3, 3, 4, (1 / 3, 1, 3)),
        (0.1, 3, 3, (0.1, 0.3, 0.9, 2.7)),  # and not 0.30000000000000004
        (1.5, 2, 6, (1.5, 3)),
    ],
)
def test_levels_grow_by_the_factor_below_the_full_budget(
    grace: float, factor: int, epochs: int, levels: tuple[float, ...]
) -> None:
    found = Rungs.geometric(grace, factor, epochs).levels
    assert found == levels
    assert list(map(type, found)) == list(map(type, levels))


def test_a_study_says_where_its_rungs_are() -> None:
    space = {"epochs": 8}
    search = {"grace_epochs": 2, "reduction_factor": 2}
    rungs = Rungs.of(parse_study({"space": space, "search": search}, "s", "s"))
    assert (rungs.levels, rungs.reduction_factor) == ((2, 4), 2)
    search |= {"scheduler": "none"}
    assert Rungs.of(parse_study({"space": space, "search": search}, "s", "s")).levels == ()


def test_a_rung_inside_an_epoch_compares_its_own_values() -> None:
    rungs = Rungs.geometric(0.25, 2, 2)
    assert arrive(rungs, 0.25, [0.9, 0.8]) == [True, False]
    assert arrive(rungs, 0.5, [0.1, 0.05]) == [True, False]
    assert arrive(rungs, 0.75, [0.0]) == [True]
    assert list(rungs.values) == [0.25, 0.5]


def test_one_in_three_goes_on() -> None:
    # 1 place for 1 to 3 values, 2 places for 4 to 6, 3 for 7.
    arriving = [0.5, 0.4, 0.6, 0.55, 0.55, 0.54, 0.54]
    expected = [True, False, True, True, True, False, False]
    assert arrive(Rungs.geometric(1, 3, 10), 1, arriving) == expected


def test_one_in_two_goes_on() -> None:
    arriving = [0.1, 0.2, 0.1, 0.3, 0.15]
    # Places: 1, 1, 2, 2, 3; the cutoff when each arrives: 0.1, 0.2, 0.1, 0.2, 0.15.
    assert arrive(Rungs.geometric(1, 2, 8), 1, arriving) == [True, True, True, True, True]
    assert arrive(Rungs.geometric(1, 2, 8), 1, [0.2, 0.1, 0.1, 0.05]) == [True, False, True, False]


def test_each_rung_compares_only_its_own_values() -> None:
    rungs = Rungs.geometric(1, 3, 10)
    assert arrive(rungs, 1, [0.9, 0.8]) == [True, False]
    assert arrive(rungs, 3, [0.1]) == [True]
    assert arrive(rungs, 3, [0.05, 0.2]) == [False, True]


def test_between_rungs_everyone_goes_on() -> None:
    rungs = Rungs.geometric(1, 3, 10)
    arrive(rungs, 1, [0.9])
    for epoch in (2, 4, 5, 10):
        rungs.record("late", epoch, -1.0)
        assert rungs.goes_on("late", epoch)
    assert rungs.values == {1: {"0000": 0.9}}


def test_a_late_value_never_fills_an_earlier_rung() -> None:
    rungs = Rungs.geometric(1, 3, 10)
    for epoch, value in ((5, 0.7), (6, 0.8), (7, 0.9)):
        rungs.record("restored", epoch, value)
    assert rungs.values == {}
    assert arrive(rungs, 1, [0.2]) == [True]  # it is the first here


def test_the_first_value_of_a_trial_stands() -> None:
    rungs = Rungs.geometric(1, 3, 10)
    rungs.record("a", 1, 0.2)
    rungs.record("a", 1, 0.9)
    assert rungs.values == {1: {"a": 0.2}}


@given(VALUES, st.integers(2, 5))
def test_the_best_so_far_is_never_stopped(values: list[float], factor: int) -> None:
    decisions = arrive(Rungs.geometric(1, factor, 10), 1, values)
    for number, (value, goes_on) in enumerate(zip(values, decisions, strict=True)):
        if value >= max(values[: number + 1]):
            assert goes_on


@given(VALUES, st.integers(2, 5))
def test_at_the_end_one_in_the_factor_is_among_the_best(values: list[float], factor: int) -> None:
    rungs = Rungs.geometric(1, factor, 10)
    arrive(rungs, 1, values)
    among = {trial for trial in rungs.values[1] if rungs.goes_on(trial, 1)}
    outside = [value for trial, value in rungs.values[1].items() if trial not in among]
    assert len(among) >= math.ceil(len(values) / factor)
    assert len(among) - values.count(min(rungs.values[1][t] for t in among)) < math.ceil(
        len(values) / factor
    )
    assert not outside or max(outside) < min(rungs.values[1][trial] for trial in among)


# Promotion


def test_promotion_as_worked_out_by_hand() -> None:
    """Algorithm 2 of the paper with reduction factor 3 and rungs at 1, 3 and 9."""
    rungs = Rungs.geometric(1, 3, 27)
    paused: dict[str, float] = {}

    def reaches(trial: str, epoch: int, value: float) -> None:
        rungs.record(trial, epoch, value)
        paused[trial] = epoch

    def next_() -> str | None:
        trial = rungs.promotable(paused)
        if trial is not None:
            del paused[trial]
        return trial

    reaches("a", 1, 0.5)
    reaches("b", 1, 0.7)
    assert next_() is None  # the best third of two is none
    reaches("c", 1, 0.6)
    assert next_() == "b"
    assert next_() is None  # the only one of the best third has been
    reaches("d", 1, 0.8)
    assert next_() == "d"  # has taken its place
    reaches("b", 3, 0.9)
    reaches("e", 1, 0.75)
    assert next_() is None  # the best third of five is d
    reaches("f", 1, 0.1)
    assert next_() == "e"  # of six: d and e
    reaches("d", 3, 0.85)
    reaches("e", 3, 0.95)
    reaches("g", 1, 0.99)
    assert next_() == "e"  # the higher rung is looked at first
    assert next_() == "g"
    assert next_() is None


def test_of_equal_values_the_first_started_is_promoted() -> None:
    rungs = Rungs.geometric(1, 2, 4)
    for trial in ("0002", "0000", "0001"):
        rungs.record(trial, 1, 0.5)
    assert rungs.promotable({"0002": 1, "0000": 1, "0001": 1}) == "0000"


def test_the_leader_is_the_best_of_those_that_got_furthest() -> None:
    rungs = Rungs.geometric(1, 3, 27)
    for trial, epoch, value in (("a", 1, 0.9), ("b", 1, 0.5), ("b", 3, 0.6), ("c", 3, 0.7)):
        rungs.record(trial, epoch, value)
    assert rungs.leader({"a": 1, "b": 3, "c": 3}) == "c"
    assert rungs.leader({"a": 1}) == "a"
    assert rungs.leader({}) is None
