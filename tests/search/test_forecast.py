"""Simulated studies, those by hand first."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from search.costs import Course
from search.forecast import Ahead, Begun, Forecast, forecast

TEN = Course(epoch=10, report=0)


def ahead(slots: int = 2, trials: int = 4, epochs: int = 4, **more: Any) -> Ahead:
    return Ahead(slots, trials, epochs, **more)


def of(study: Ahead, course: Course = TEN) -> Forecast:
    return forecast(study, lambda random: course)


def test_without_stopping_it_is_arithmetic() -> None:
    assert of(ahead()) == Forecast(80, 80, 80, 16, 4)
    assert of(ahead(trials=5)).seconds == 120
    assert of(ahead(slots=8)).seconds == 40
    assert of(ahead(), Course(epoch=10, report=1, start=2)).seconds == 2 * (2 + 44)
    assert of(ahead(trials=0)) == Forecast(0, 0, 0, 0, 0)


def test_what_is_paid_once_is_paid_once() -> None:
    frozen = Course(epoch=1, report=0, once=100, shares="one encoder")
    assert of(ahead(slots=1, trials=3), frozen).seconds == 112


def test_a_time_limit_lets_what_runs_finish() -> None:
    found = of(ahead(trials=100, seconds=45))
    assert found == Forecast(80, 80, 80, 16, 4)  # two more start at 40, none at 80
    assert of(ahead(seconds=0.0)).seconds == 0


def test_a_limit_of_epochs_lets_what_runs_finish() -> None:
    assert of(ahead(trials=100, total_epochs=9)).epochs == 16
    assert of(ahead(trials=100, total_epochs=8)).epochs == 8


def test_trials_that_were_begun_take_what_is_left_of_them() -> None:
    begun = [Begun(TEN, 1, 4.0), Begun(TEN, 3, 0.0)]
    assert of(ahead(trials=0, begun=begun)).seconds == 26
    # One that waits for a worker comes after the one that runs.
    assert of(ahead(slots=1, trials=0, begun=begun)).seconds == 36
    late = Begun(TEN, 3, 1000.0)  # it should be done long since
    assert 0 < of(ahead(trials=0, begun=[late])).seconds <= 1


def test_stopping_leaves_about_the_share_that_the_rungs_do() -> None:
    found = of(ahead(slots=4, trials=300, epochs=9, levels=(1, 3)))
    # Of all one in three gets to 3, and of these one in three to 9: 1 + 2/3 + 6/9 epochs, and more
    # because the first ones at a rung go on.
    assert 300 * (1 + 2 / 3 + 6 / 9) < found.epochs < 300 * 3.2
    assert found.low < found.seconds < found.high
    assert found.seconds == pytest.approx(found.epochs * 10 / 4, rel=0.05)


def test_rungs_that_are_full_let_fewer_go_on() -> None:
    new = ahead(trials=9, epochs=9, levels=(1, 3))
    old = ahead(trials=9, epochs=9, levels=(1, 3), arrived={1: 300, 3: 100})
    assert of(old).epochs < of(new).epochs


def test_more_trials_than_are_simulated_take_as_much_longer() -> None:
    few, many = (of(ahead(slots=4, trials=n, levels=(1, 2))) for n in (400, 4000))
    assert many.seconds == pytest.approx(10 * few.seconds, rel=0.1)
    assert many.trials == 4000
    limited = of(ahead(slots=4, trials=4000, levels=(1, 2), seconds=10_000.0))
    assert limited.seconds == pytest.approx(10_000, rel=0.01)
    assert limited.trials < 4000


def test_a_forecast_is_the_same_each_time() -> None:
    def draw(random: Random) -> Course:
        return Course(epoch=random.uniform(1, 20), report=0)

    study = ahead(trials=40, levels=(1, 2))
    assert forecast(study, draw) == forecast(study, draw)
