"""Seconds of configurations follow from those that were measured, by their work."""

from __future__ import annotations

import pytest

from model import epoch_work
from search.forecast.durations import Costs, Course, declared_size
from spaces import Config

PLAIN = Config(samples_per_epoch=1024)
SMART = PLAIN.replace(smart=True)
FROZEN = PLAIN.replace(trainable_layers="none")


def measured(*configs: tuple[Config, float]) -> Costs:
    costs = Costs(6, declared_size)
    for config, seconds in configs:
        costs.add(config, epochs=0.5, training=seconds, reporting=2.0)
    return costs


def test_an_epoch_of_what_was_measured_is_what_was_measured() -> None:
    costs = measured((PLAIN, 5.0), (FROZEN, 0.25))
    assert costs.course(PLAIN).epoch == pytest.approx(10)
    assert costs.course(FROZEN).epoch == pytest.approx(0.5)
    longer = PLAIN.replace(samples_per_epoch=4096, pooling="cls", encoder_learning_rate=1e-3)
    assert costs.course(longer).epoch == pytest.approx(40)
    assert costs.course(longer).report == 2


def test_what_was_not_measured_compares_by_its_work() -> None:
    costs = measured((PLAIN, 5.0), (FROZEN, 0.25))
    size = declared_size(PLAIN)
    ratio = epoch_work(SMART, 6, size.examples, size.updates) / epoch_work(
        PLAIN, 6, size.examples, size.updates
    )
    assert 2 < ratio < 3.5
    assert costs.course(SMART).epoch == pytest.approx(10 * ratio)


def test_one_slow_moment_does_not_count() -> None:
    costs = measured((FROZEN, 30.0), (FROZEN, 0.25), (FROZEN, 0.25))
    assert costs.course(FROZEN).epoch == pytest.approx(0.5)


def test_what_a_trial_takes_beside_comes_to_its_reports() -> None:
    costs = measured((PLAIN, 5.0))
    costs.add_overhead(0.5)
    assert costs.course(PLAIN).report == 2.5


def test_a_course_by_hand() -> None:
    course = Course(epoch=10, report=1)
    assert course.seconds(0, 4) == 44
    assert course.seconds(0, 0.25) == 3.5
    assert course.seconds(0.25, 0.75) == 6
    assert course.seconds(0.75, 2.25) == 15 + 3  # at 1, at 2 and at the rung
