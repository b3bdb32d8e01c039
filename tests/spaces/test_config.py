"""The declaration is consistent; a configuration from outside is checked, typed, and complete."""

from __future__ import annotations

import dataclasses
import tomllib

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from spaces import Choice, Config, Key, UserError, Value, factors, is_active
from spaces.declare import Condition
from tests.points import values_of

CONFIGS = st.fixed_dictionaries(
    {name: values_of(factor.domain) for name, factor in factors().items()}
).map(Config.of)


def test_every_default_lies_in_its_domain_with_its_own_type() -> None:
    for name, factor in factors().items():
        accepted = factor.domain.accept(factor.default)
        assert (accepted, type(accepted)) == (factor.default, type(factor.default)), name


def test_every_factor_is_explained() -> None:
    assert all(factor.meaning for factor in factors().values())


def test_a_condition_names_an_earlier_factor_and_some_of_its_values() -> None:
    earlier: dict[str, Key] = {}
    for name, factor in factors().items():
        for condition in factor.when:
            assert condition.factor in earlier, name
            levels = earlier[condition.factor].domain.levels
            assert levels is not None, f"{name} depends on a factor whose values cannot be listed"
            assert set(condition.among) < set(levels), name
        earlier[name] = factor


@given(CONFIGS)
def test_a_configuration_comes_back_from_its_values_as_toml(config: Config) -> None:
    written = {n: list(v) if isinstance(v, tuple) else v for n, v in config.values().items()}
    assert Config.of(tomllib.loads(tomli_w.dumps(written))) == config


@given(CONFIGS, CONFIGS)
def test_configurations_that_differ_only_where_nothing_acts_have_equal_active_values(
    config: Config, other: Config
) -> None:
    inactive = {n: v for n, v in other.values().items() if n not in config.active()}
    assert config.replace(**inactive).active() == config.active()


@pytest.mark.parametrize(
    ("factor", "acting", "idle"),
    [
        ("loss_weights", {"loss_weighting": "tuned"}, {"loss_weighting": "report"}),
        ("encoder_learning_rate", {"trainable_layers": 2}, {"trainable_layers": "none"}),
        ("head_dropout", {"head": "feed-forward"}, {"head": "linear"}),
        ("pair_features", {"pair_encoding": "separate"}, {"pair_encoding": "joint"}),
        ("similarity", {"shared_pair_head": False}, {"shared_pair_head": True}),
        (
            "similarity",
            {"shared_pair_head": False},
            {"shared_pair_head": False, "pair_encoding": "joint"},
        ),
    ],
)
def test_a_factor_acts_only_under_its_condition(
    factor: str, acting: dict[str, Value], idle: dict[str, Value]
) -> None:
    assert factor in Config.of(acting).active()
    assert factor not in Config.of(idle).active()
    assert set(Config.of(idle).values()) - set(Config.of(idle).active()) >= {factor}


def test_a_factor_does_not_act_where_the_factor_it_depends_on_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    switch = Choice((False, True))
    chain = {
        "a": Key("a", True, switch, "first"),
        "b": Key("b", True, switch, "second", when=(Condition("a", (True,)),)),
        "c": Key("c", True, switch, "third", when=(Condition("b", (True,)),)),
    }
    monkeypatch.setattr("spaces.config.factors", lambda: chain)
    assert is_active("c", {"a": True, "b": True})
    assert not is_active("c", {"a": False, "b": True})
    assert not is_active("c", {"a": True, "b": False})


def test_values_get_their_own_type() -> None:
    config = Config.of({"warmup": 0, "batch_size": 64.0, "loss_weights": [1, 0, 0]})
    assert (config.warmup, type(config.warmup)) == (0.0, float)
    assert (config.batch_size, type(config.batch_size)) == (64, int)
    assert config.loss_weights == (1.0, 0.0, 0.0)
    assert Config(loss_weights=[1, 0, 0]) == Config(loss_weights=(1.0, 0.0, 0.0))  # type: ignore[arg-type]


def test_an_unknown_factor_is_told_the_nearest_one() -> None:
    with pytest.raises(
        UserError, match="Unknown key 'poolling' in trial 7; did you mean 'pooling'"
    ):
        Config.of({"poolling": "cls"}, "trial 7")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"jaccard": 1}, "trial 7: jaccard must be one of false, true, but it is 1."),
        (
            {"pooling": "men"},
            'pooling must be one of "mean", "cls", "max", "attention", but it is "men".',
        ),
        ({"batch_size": 1}, "batch_size must be an integer from 2 to 1024 .*, but it is 1."),
        ({"loss_weights": [1, 1, 1]}, r"that sum to 1, for sst, para, sts, but it is \[1, 1, 1\]."),
    ],
)
def test_a_value_outside_its_domain_is_refused(values: dict[str, Value], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Config.of(values, "trial 7")
    with pytest.raises(UserError):
        Config(**values)
    with pytest.raises(UserError):
        Config().replace(**values)


def test_a_configuration_does_not_change() -> None:
    config = Config()
    assert config.replace(seed=3) == Config(seed=3)
    assert config.seed == 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 1  # type: ignore[misc]
