"""Points of any space as rows of numbers, and back."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from scipy import stats

from search.sampler.features import Features
from search.trials.distributions import encode, values_of
from spaces import Space, Value
from tests.points import assert_near, points, spaces
from tests.tries import tries


def assert_of_the_space(space: Space, features: Features, rows: np.ndarray) -> None:
    for row in rows:
        values = values_of(space, features.point(row))
        assert space.check(values, "here") == values  # the active factors, and no other


@settings(max_examples=tries(50), deadline=None)
@given(st.data())
def test_a_point_comes_back_from_its_row(data: st.DataObject) -> None:
    space = data.draw(spaces())
    point, features = data.draw(points(space)), Features(space)
    row = features.row(encode(space, point))
    assert_near(values_of(space, features.point(row)), point)


@settings(max_examples=tries(50), deadline=None)
@given(spaces(), st.integers(0, 2**32 - 1))
def test_what_is_drawn_and_what_is_near_is_in_the_space(space: Space, seed: int) -> None:
    features, random = Features(space), np.random.default_rng(seed)
    drawn = features.drawn(5, random)
    assert_of_the_space(space, features, drawn)
    assert_of_the_space(space, features, features.near(drawn, 3, 0.2, random))


def test_draws_are_uniform_and_near_ones_are_near() -> None:
    space = Space.parse(
        {"pooling": ["mean", "cls"], "encoder_learning_rate": {"low": 1e-6, "high": 1e-2}}, "here"
    )
    features, random = Features(space), np.random.default_rng(0)
    centre = features.row({"pooling": "cls", "encoder_learning_rate": 1e-4})[None]
    drawn, near = features.drawn(1000, random), features.near(centre, 1000, 0.1, random)
    rates, options = {}, {}
    for name, rows in {"drawn": drawn, "near": near}.items():
        found = [features.point(row) for row in rows]
        rates[name] = np.log10([point["encoder_learning_rate"] for point in found])
        options[name] = np.mean([point["pooling"] == "cls" for point in found])
    assert abs(rates["drawn"].mean() + 4) < 0.2
    assert rates["drawn"].min() < -5.9
    assert rates["drawn"].max() > -2.1
    assert abs(options["drawn"] - 0.5) < 0.1
    assert 0.3 < rates["near"].std() < 0.5  # a tenth of four powers of ten
    assert 0.4 < options["near"] < 0.6  # of two parameters, both are drawn anew


@settings(max_examples=tries(50), deadline=None)
@given(st.data())
def test_a_point_that_was_tried_is_known_again_to_the_bit(data: st.DataObject) -> None:
    """Of integers and choices, of which there are few: the row of a trial's stored parameters is
    the one that was drawn, or moved to."""
    table: dict[str, Value] = {
        "pooled_layers": "free",
        "batch_size": {"low": 2, "high": 1024},
        "early_stopping": {"low": 5, "high": data.draw(st.integers(5, 40))},
        "warmup": {"low": 0.1, "high": 0.1},
        "smart": [True, False],
        "smart_steps": "free",
        "pooling": "free",
    }
    space = Space.parse(table, "here")
    features = Features(space)
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    drawn = features.drawn(40, random)
    near = features.near(drawn, 3, 0.1, random)
    for rows in (drawn, near, features.at(random.random((1, len(features.parameters))))):
        again = np.stack([features.row(features.point(row)) for row in rows])
        assert again.tobytes() == rows.tobytes()
        assert features.features(again).tobytes() == features.features(rows).tobytes()


@pytest.mark.parametrize(("low", "high"), [(1, 4), (2, 3), (2, 40)])
@pytest.mark.parametrize("log", [False, True])
def test_integers_are_drawn_as_likely_as_optuna_draws_them(low: int, high: int, log: bool) -> None:
    """The ends no less than the others; on a log scale as the logarithm of what rounds to them."""
    part = {"low": low, "high": high, "log": log}
    space = Space.parse({"early_stopping": part}, "here")
    features, draws = Features(space), 20_000
    drawn = features.drawn(draws, np.random.default_rng(0))
    ours = [features.point(row)["early_stopping"] for row in drawn]
    distribution = features.parameters["early_stopping"]
    optunas = optuna_s_integers(distribution, 4000)
    values = np.arange(low, high + 1)
    edges = np.append(values - 0.5, high + 0.5)
    shares = np.diff(np.log(edges) if log else edges)
    shares /= shares.sum()
    for found in (ours, optunas):
        counts = np.array([found.count(value) for value in values])
        assert counts.sum() == len(found)
        assert stats.chisquare(counts, shares * len(found)).pvalue > 1e-3


def optuna_s_integers(distribution: BaseDistribution, count: int) -> list[int]:
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    trial = study._storage.get_trial(study.ask()._trial_id)
    ask = study.sampler.sample_independent
    return [ask(study, trial, "x", distribution) for _ in range(count)]


def test_an_integer_that_is_changed_is_another_one() -> None:
    space = Space.parse({"pooled_layers": "free", "batch_size": {"low": 2, "high": 64}}, "here")
    features, random = Features(space), np.random.default_rng(0)
    for layers, batch in ((1, 2), (4, 64), (2, 17)):
        row = features.row({"pooled_layers": layers, "batch_size": batch})[None]
        near = [features.point(r) for r in features.near(row, 400, 0.02, random)]
        assert all(point["pooled_layers"] != layers for point in near)
        assert all(point["batch_size"] != batch for point in near)
        assert {abs(point["pooled_layers"] - layers) for point in near} == {1}
        assert {1, 2} & {abs(point["batch_size"] - batch) for point in near}


def test_options_and_corners_are_one_apart_and_what_is_inactive_is_at_the_middle() -> None:
    space = Space.parse(
        {"loss_weighting": ["equal", "report", "tuned"], "loss_weights": "free"}, "here"
    )
    features = Features(space)
    parameters: dict[str, dict[str, Value]] = {
        "equal": {"loss_weighting": "equal"},
        "report": {"loss_weighting": "report"},
        "centre": {"loss_weighting": "tuned", "loss_weights.0": 5 / 9, "loss_weights.1": 0.5},
        "first": {"loss_weighting": "tuned", "loss_weights.0": 1.0, "loss_weights.1": 0.5},
        "second": {"loss_weighting": "tuned", "loss_weights.0": 0.0, "loss_weights.1": 1.0},
        "third": {"loss_weighting": "tuned", "loss_weights.0": 0.0, "loss_weights.1": 0.0},
    }
    rows = {name: features.row(point)[None] for name, point in parameters.items()}

    def apart(one: str, other: str) -> float:
        return float(np.linalg.norm(features.features(rows[one]) - features.features(rows[other])))

    assert features.groups.tolist() == [0, 0, 0, 1, 1, 1]
    assert np.isclose(apart("equal", "report"), 1)
    assert np.isclose(apart("equal", "centre"), 1)
    assert np.isclose([apart("first", "second"), apart("second", "third")], 1).all()
    assert np.isclose(apart("third", "first"), 1)
    assert np.isclose(apart("equal", "third"), np.hypot(1, apart("centre", "third")))
    assert features.coordinates(rows["third"]).tolist() == [[0, 0, np.sqrt(0.5), 0, 0]]
    assert features.coordinates(rows["equal"]).tolist() == [[np.sqrt(0.5), 0, 0, 0.5, 0.5]]
