"""A point of any space goes into Optuna and comes back as it was."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.samplers import RandomSampler

from search.ledger.search_journal import SearchJournal
from search.trials.distributions import decode, distributions, encode, suggest, values_of
from search.trials.journal_file import open_journal, read_records
from spaces import Choice, Domain, Interval, IntInterval, Simplex, Space, Value, factors
from tests.points import points, spaces
from tests.tries import tries

FREE = {
    "loss_weighting": ["equal", "tuned"],
    "loss_weights": "free",
    "trainable_layers": ["all", 1, 2, "none"],
    "encoder_learning_rate": {"low": 1e-5, "high": 1e-3},
    "dropout": {"low": 0.0, "high": 0.5},
    "jaccard": [True, False],
    "batch_size": {"low": 8, "high": 64, "log": True},
    "max_length": [32, 64],
}


def assert_same(actual: dict[str, Value], expected: dict[str, Value]) -> None:
    """Equal in value and type; weights, which are computed, to 9 digits."""
    assert list(actual) == list(expected)
    for name, value in expected.items():
        assert type(actual[name]) is type(value), name
        if isinstance(value, tuple):
            assert actual[name] == pytest.approx(value, abs=1e-9)
        else:
            assert actual[name] == value, name


@settings(max_examples=tries(50))
@given(st.data())
def test_a_point_comes_back_as_it_was_enqueued(data: st.DataObject) -> None:
    space = data.draw(spaces())
    point = data.draw(points(space))
    study = optuna.create_study(sampler=RandomSampler(0))
    study.enqueue_trial(encode(space, point))

    trial = study.ask()

    assert_same(suggest(trial, space), point)
    assert_same(values_of(space, trial.params), point)


@settings(max_examples=tries(50))
@given(spaces(), st.integers(0, 2**32 - 1))
def test_what_a_sampler_proposes_is_in_the_space_and_round_trips(space: Space, seed: int) -> None:
    trial = optuna.create_study(sampler=RandomSampler(seed)).ask()
    values = suggest(trial, space)
    assert_same(values_of(space, trial.params), values)
    again = encode(space, values)
    assert list(again) == list(trial.params)
    assert_same(values_of(space, again), values)
    config = space.config(values)  # raises for a value outside a factor's domain
    for name, value in values.items():
        assert space.free[name].accept(value) == value
        assert getattr(config, name) == value


@settings(max_examples=tries(30), deadline=None)
@given(st.data())
def test_a_study_of_any_space_is_in_its_journal_as_it_was(data: st.DataObject) -> None:
    """Points from outside and points that a sampler draws, read again by another process; with the
    values that the space fixes each is the configuration that was trained."""
    space = data.draw(spaces())
    given_points = [data.draw(points(space)) for _ in range(2)]
    seed = data.draw(st.integers(0, 2**32 - 1))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "journal"
        study = optuna.create_study(storage=SearchJournal(file), sampler=RandomSampler(seed))
        for point in given_points:
            study.enqueue_trial(encode(space, point))
        drawn = [suggest(study.ask(), space) for _ in range(5)]
        records = read_records(file, space)
    for point, values in zip(given_points, drawn, strict=False):
        assert_same(values, point)
    for record, values in zip(records, drawn, strict=True):
        assert_same(dict(record.values), values)
        config = space.config(record.values)
        assert config == space.config(values)
        assert {name: getattr(config, name) for name in space.fixed} == dict(space.fixed)
        assert set(record.values) == set(config.active()) & set(space.free)


def test_only_active_factors_get_parameters() -> None:
    space = Space.parse(FREE, "here")
    study = optuna.create_study(sampler=RandomSampler(0))
    seen = set()
    for _ in range(30):
        trial = study.ask()
        suggest(trial, space)
        weighted = trial.params["loss_weighting"] == "tuned"
        trained = trial.params["trainable_layers"] != "none"
        assert ("loss_weights.0" in trial.params) == weighted
        assert ("loss_weights.1" in trial.params) == weighted
        assert ("encoder_learning_rate" in trial.params) == trained
        seen.add((weighted, trained))
    assert len(seen) == 4


def test_a_value_is_asked_for_as_its_domain_says() -> None:
    space = Space.parse(
        {
            "encoder_learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
            "warmup": {"low": 0.0, "high": 0.5},
            "batch_size": {"low": 8, "high": 64, "log": True},
            "jaccard": [True, False],
        },
        "here",
    )
    trial = optuna.create_study(sampler=RandomSampler(0)).ask()
    suggest(trial, space)
    expected: dict[str, Any] = {}
    for name, domain in space.free.items():
        expected |= distributions(name, domain)
    assert trial.distributions == expected


def test_true_is_not_one() -> None:
    both = Choice((1, True, 0.0, False))
    for option in both.options:
        assert type(decode(both, {"x": option})) is type(option)


def test_factors_are_asked_for_in_order_of_declaration() -> None:
    space = Space.parse(dict(reversed(FREE.items())), "here")
    trial = optuna.create_study(sampler=RandomSampler(0)).ask()
    values = suggest(trial, space)
    assert list(values) == [name for name in factors() if name in values]


def test_types_survive_the_journal(tmp_path: Path) -> None:
    options = {
        "jaccard": [False, True],
        "trainable_layers": ["all", 1, 2],
        "loss_weighting": "tuned",
        "loss_weights": [[0.5, 0.25, 0.25], [0.2, 0.3, 0.5], [1, 0, 0]],
        "dropout": [0, 0.5],
        "batch_size": {"low": 8, "high": 8},
    }
    space = Space.parse(options, "here")
    point = {
        "jaccard": True,
        "loss_weights": (1.0, 0.0, 0.0),
        "trainable_layers": 1,
        "dropout": 0.0,
        "batch_size": 8,
    }
    study = optuna.create_study(study_name="s", storage=SearchJournal(tmp_path / "journal"))
    study.enqueue_trial(encode(space, point))
    suggest(study.ask(), space)

    again = optuna.load_study(study_name="s", storage=open_journal(tmp_path / "journal"))
    assert_same(values_of(space, again.trials[0].params), point)


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        (Choice(("a", 1)), {"x": optuna.distributions.CategoricalDistribution(["a", 1])}),
        (
            Choice(((0.5, 0.5), (1.0, 0.0))),
            {"x": optuna.distributions.CategoricalDistribution(["[0.5, 0.5]", "[1.0, 0.0]"])},
        ),
        (Interval(1, 2), {"x": optuna.distributions.FloatDistribution(1, 2)}),
        (Interval(1, 2, log=True), {"x": optuna.distributions.FloatDistribution(1, 2, log=True)}),
        (
            IntInterval(1, 8, log=True),
            {"x": optuna.distributions.IntDistribution(1, 8, log=True)},
        ),
        (
            Simplex(("a", "b", "c")),
            {f"x.{number}": optuna.distributions.FloatDistribution(0, 1) for number in range(2)},
        ),
    ],
)
def test_each_domain_has_its_distribution(domain: Domain, expected: dict[str, Any]) -> None:
    assert distributions("x", domain) == expected
