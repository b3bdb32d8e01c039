"""Epochs and steps are two names of the same time, with nothing lost between them."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.text.words import epoch_text
from search.trials.epochs import Clock


@pytest.mark.parametrize(
    ("epoch", "steps"),
    [(1, 1), (7, 1), (0.25, 4), (0.75, 4), (2.5, 2), (1 / 3, 3), (0.1, 10), (0.001, 1000)],
)
def test_a_clock_is_as_coarse_as_its_first_rung_allows(epoch: float, steps: int) -> None:
    clock = Clock.meeting(epoch)
    assert clock == Clock(steps)
    assert clock.epoch(clock.step(epoch)) == epoch


def test_an_epoch_too_fine_for_a_thousand_steps_moves_to_the_nearest() -> None:
    clock = Clock.meeting(0.0015)
    assert clock.epoch(clock.step(0.0015)) == 1 / 667


@given(st.integers(1, 1000), st.integers(1, 10_000_000))
def test_an_epoch_is_the_same_float_on_every_way(steps: int, step: int) -> None:
    clock = Clock(steps)
    epoch = clock.epoch(step)
    assert epoch == Fraction(step, steps) or epoch == float(Fraction(step, steps))
    assert isinstance(epoch, int) == (step % steps == 0)
    assert clock.step(epoch) == step
    assert clock.epoch(clock.step(json.loads(json.dumps(epoch)))) == epoch


@pytest.mark.parametrize(
    ("epoch", "text"),
    [
        *((8, "8"), (1.0, "1"), (0.25, "0.25"), (2.25, "2.25"), (1 / 3, "0.333"), (0, "0")),
        *((0.1 + 0.2, "0.3"), (12_345_678.25, "12345678.25")),
    ],
)
def test_text_has_no_more_digits_than_needed(epoch: float, text: str) -> None:
    assert epoch_text(epoch) == text
