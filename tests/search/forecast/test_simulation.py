"""Simulated studies, those by hand first."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import pytest

from search.forecast.durations import Course
from search.forecast.simulation import Ahead, Begun, Forecast, forecast
from search.ledger.ledger import Ledger
from search.trials.record import Record
from search.trials.study_folder import StudyFolder
from spaces import parse_study

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


def test_under_promotion_all_pause_at_a_rung_and_the_best_third_goes_on() -> None:
    three = ahead(slots=1, trials=3, epochs=9, levels=(1, 3), promotes=True)
    # One epoch each, two more of the best; and when nothing else is left it goes on to the end.
    assert of(three) == Forecast(110, 110, 110, 11, 3)
    assert of(replace(three, completed=True)) == Forecast(50, 50, 50, 5, 3)
    # Of nine three get to 3, and of these one to 9; more where a better one comes late.
    nine = of(replace(three, trials=9, completed=True))
    assert (nine.low, nine.trials) == (10 * (9 + 3 * 2 + 6), 9)
    assert nine.high > nine.low


def test_trials_that_are_paused_go_on_where_they_are_promoted() -> None:
    paused = [Begun(TEN, 1, place=place) for place in (2, 0, 1)]
    study = ahead(trials=0, epochs=9, levels=(1, 3), promotes=True, begun=paused, arrived={1: 3})
    assert of(study).seconds == 80
    assert of(replace(study, completed=True)).seconds == 20
    assert of(replace(study, seconds=0.0)).seconds == 0
    # Of six the best two go on: these are the second and a third one that has gone on already.
    behind = [Begun(TEN, 1, place=place) for place in (1, 3, 4)]
    six = replace(study, slots=1, completed=True, begun=behind, arrived={1: 6, 3: 1})
    assert of(six).seconds == 20
    high = [Begun(TEN, 3, place=2), Begun(TEN, 1, place=0)]
    both = replace(study, slots=1, completed=True, begun=high, arrived={1: 3, 3: 3})
    assert of(both).seconds == 20  # the third of three at 3 stays there


def promoted_epochs(path: Path, workers: int, trials: int, seed: int) -> float:
    """Of a search under promotion, whose trials keep to their rank but for a little noise."""
    study = parse_study(
        {
            "space": {"epochs": 9, "warmup": {"low": 0.0, "high": 0.5}},
            "search": {"sampler": "random", "scheduler": "promotion", "trials": trials},
        },
        "s",
        "s",
    )
    folder = StudyFolder(path)
    folder.open(study)
    ledger, running, draw = Ledger(study, folder), deque[Record](), Random(seed)
    ranks: dict[str, float] = {}
    while True:
        while len(running) < workers and (trial := ledger.next()):
            running.append(trial)
        if not running:
            return ledger.tally.epochs
        trial = running.popleft()
        rank = ranks.setdefault(trial.id, draw.random())
        epoch = int(trial.epoch) + 1
        if ledger.report(trial.id, epoch, rank + draw.gauss(0, 0.1)) and epoch < 9:
            running.append(trial)
        else:
            ledger.end(trial.id)


def test_a_promotion_takes_about_as_many_epochs_as_is_forecast(tmp_path: Path) -> None:
    found = of(ahead(4, 40, 9, levels=(1, 3), promotes=True))
    true = [promoted_epochs(tmp_path / str(seed), 4, 40, seed) for seed in range(25)]
    assert found.epochs == pytest.approx(median(true), rel=0.06)


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
