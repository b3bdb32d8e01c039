"""A space frees and fixes factors, fills in points, and lists each configuration once."""

from __future__ import annotations

import pickle
from itertools import islice, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces import Choice, Config, Interval, IntInterval, Space, UserError, Value, factors
from spaces.declare import Condition, Key
from tests.tries import tries


def space(**table: Value) -> Space:
    return Space.parse(table, "my.toml [space]")


def test_a_list_a_part_and_the_word_free_free_a_factor_and_a_value_fixes_it() -> None:
    made = space(
        batch_size=[16, 32],
        warmup={"low": 0, "high": 0.3},
        max_length={"high": 64, "log": False},
        pooling="free",
        dropout=0,
    )
    assert made.free == {
        "pooling": factors()["pooling"].domain,
        "warmup": Interval(0.0, 0.3),
        "batch_size": Choice((16, 32)),
        "max_length": IntInterval(4, 64),
    }
    assert made.fixed["dropout"] == 0.0
    assert type(made.fixed["dropout"]) is float


def test_every_factor_is_either_free_in_order_of_declaration_or_fixed() -> None:
    made = space(warmup="free", jaccard=[True], pooling="free")
    assert list(made.free) == ["pooling", "jaccard", "warmup"]
    assert sorted([*made.free, *made.fixed]) == sorted(factors())
    defaults = Config().values()
    assert all(defaults[name] == value for name, value in made.fixed.items())


def test_a_part_of_an_interval_keeps_its_scale_unless_told() -> None:
    rate = {"low": 1e-5, "high": 1e-4}
    assert space(encoder_learning_rate=rate).free["encoder_learning_rate"] == Interval(
        1e-5, 1e-4, log=True
    )
    linear = space(encoder_learning_rate={**rate, "log": False}).free["encoder_learning_rate"]
    assert linear == Interval(1e-5, 1e-4)


def test_weights_are_one_value_and_a_list_of_weights_frees_them() -> None:
    fixed = space(loss_weighting="tuned", loss_weights=[1, 0, 0]).fixed
    assert fixed["loss_weights"] == (1.0, 0.0, 0.0)
    made = space(loss_weighting="tuned", loss_weights=[[1, 0, 0], [0.5, 0.25, 0.25]])
    assert made.free["loss_weights"] == Choice(((1.0, 0.0, 0.0), (0.5, 0.25, 0.25)))


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (
            {"poolng": "cls"},
            r"Unknown factor 'poolng' in my.toml \[space\]; did you mean 'pooling'\?",
        ),
        (
            {"pooling": "men"},
            r'my.toml \[space\]: pooling must be one of "mean", .*, "attention", but it is "men"\.',
        ),
        ({"pooling": ["mean", "men"]}, 'pooling must be one of .*, but it is "men"'),
        ({"pooling": ["mean", "mean"]}, r'pooling: .* each option once, got \["mean", "mean"\]\.'),
        ({"warmup": []}, "warmup is an empty list; list the values to try"),
        ({"loss_weights": []}, "loss_weights is an empty list"),
        ({"warmup": {"low": 0.4, "high": 0.2}}, "low <= high must hold, got low=0.4, high=0.2"),
        (
            {"warmup": {"high": 0.6}},
            r"warmup\.high must be a number from 0 to 0\.5, but it is 0\.6",
        ),
        ({"warmup": {"low": "0"}}, r'warmup\.low must be a number .*, but it is "0"'),
        ({"warmup": {"log": True}}, "a log scale needs low > 0, got low=0"),
        ({"warmup": {"log": 1}}, r"warmup\.log must be true or false"),
        ({"warmup": {"lo": 0.1}}, "Unknown key 'lo' in .*, warmup; did you mean 'low'"),
        ({"pooling": {"low": 1}}, r"pooling takes no \{low, high\}; it must be one of"),
        ({"epochs": [2, 4]}, "epochs must be one value for all trials of a study"),
        ({"epochs": "free"}, "epochs must be one value for all trials of a study"),
    ],
)
def test_what_a_space_cannot_mean_is_refused(table: dict[str, Value], says: str) -> None:
    with pytest.raises(UserError, match=says):
        space(**table)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"loss_weights": "free"}, 'loss_weights is free .* only where loss_weighting is "tuned"'),
        ({"loss_weights": "free", "loss_weighting": ["equal", "report"]}, "loss_weights is free"),
        ({"head_dropout": [0.1, 0.2], "head": "linear"}, "head_dropout is free but has no effect"),
        ({"encoder_learning_rate": "free", "trainable_layers": ["none"]}, "encoder_learning_rate"),
        (
            {"similarity": "free", "shared_pair_head": True},
            'only where pair_encoding is "separate" and shared_pair_head is false',
        ),
        (
            {"similarity": "free", "shared_pair_head": "free", "pair_encoding": "joint"},
            "similarity is free but has no effect",
        ),
    ],
)
def test_a_free_factor_that_can_never_act_is_refused(table: dict[str, Value], says: str) -> None:
    with pytest.raises(UserError, match=says):
        space(**table)


def test_a_free_factor_that_sometimes_acts_is_allowed() -> None:
    assert "loss_weights" in space(loss_weights="free", loss_weighting="free").free
    assert "loss_weights" in space(loss_weights="free", loss_weighting="tuned").free
    assert "head_dropout" in space(head_dropout="free", head=["linear", "feed-forward"]).free


def test_a_free_factor_at_the_end_of_a_broken_chain_of_conditions_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    switch = Choice((False, True))
    chain = {
        "a": Key("a", False, switch, "first"),
        "b": Key("b", True, switch, "second", when=(Condition("a", (True,)),)),
        "c": Key("c", True, switch, "third", when=(Condition("b", (True,)),)),
    }
    monkeypatch.setattr("spaces.config.factors", lambda: chain)
    monkeypatch.setattr("spaces.space.factors", lambda: chain)
    with pytest.raises(UserError, match="c is free but has no effect"):
        space(c="free")
    made = space(a="free", b="free", c="free")
    assert list(made.grid()) == [
        {"a": False},
        {"a": True, "b": False},
        {"a": True, "b": True, "c": False},
        {"a": True, "b": True, "c": True},
    ]


def test_a_point_is_completed_by_the_fixed_values_and_what_the_space_allows() -> None:
    made = space(
        batch_size=[64, 128],  # without the default, 32
        warmup={"low": 0.2, "high": 0.3},  # above the default, 0.1
        dropout={"low": 0.0, "high": 0.05},  # below it
        pooling=["max", "mean"],
        seed=5,
    )
    config = made.config({"batch_size": 128})
    assert config == Config(batch_size=128, warmup=0.2, dropout=0.05, pooling="mean", seed=5)
    assert made.config().batch_size == 64
    assert made.config({"pooling": "max"}, seed=9, pooling="mean").pooling == "mean"
    assert made.config(seed=9).seed == 9


def test_a_point_from_outside_is_checked_and_loses_what_does_not_act() -> None:
    made = space(loss_weighting="free", loss_weights="free", warmup={"low": 0.0, "high": 0.2})
    point = {"loss_weighting": "tuned", "loss_weights": [1, 0, 0], "warmup": 0}
    assert made.check(point, "trial 3") == {
        "loss_weighting": "tuned",
        "loss_weights": (1.0, 0.0, 0.0),
        "warmup": 0.0,
    }
    assert made.check({**point, "loss_weighting": "equal"}, "trial 3") == {
        "loss_weighting": "equal",
        "warmup": 0.0,
    }
    with pytest.raises(UserError, match=r"trial 3: warmup must be a number from 0 to 0\.2, but"):
        made.check({"warmup": 0.3}, "trial 3")
    with pytest.raises(UserError, match="Unknown free factor 'warmpu' in trial 3; did you mean"):
        made.check({"warmpu": 0.1}, "trial 3")
    with pytest.raises(UserError, match="Unknown free factor 'dropout'"):
        made.check({"dropout": 0.1}, "trial 3")


def test_whether_a_factor_acts_follows_the_point_and_then_the_space() -> None:
    made = space(loss_weighting=["tuned", "equal"], loss_weights="free", head="linear")
    assert made.is_active("loss_weights", {"loss_weighting": "tuned"})
    assert not made.is_active("loss_weights", {"loss_weighting": "equal"})
    assert made.is_active("loss_weights", {})  # the first that the space allows, not the default
    assert not made.is_active("head_dropout", {})
    assert made.is_active("pooling", {})


def test_asking_whether_a_factor_acts_builds_no_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = space(loss_weighting="free", loss_weights="free")
    monkeypatch.setattr(Config, "__post_init__", lambda self: pytest.fail("built a Config"))
    assert made.is_active("loss_weights", {"loss_weighting": "tuned"})


def test_a_space_survives_pickling_after_use() -> None:
    made = space(pooling="free")
    made.config()
    assert pickle.loads(pickle.dumps(made)) == made == space(pooling="free")


def test_a_grid_of_nothing_free_is_the_one_configuration() -> None:
    assert list(space().grid()) == [{}]


def test_factors_that_do_not_act_do_not_multiply_a_grid() -> None:
    made = space(
        head=["linear", "feed-forward"],
        loss_weighting=["equal", "tuned"],
        loss_weights=[[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        head_dropout=[0.0, 0.1],
    )
    # (linear: 1, feed-forward: 2 dropouts) x (equal: 1, tuned: 3 weights)
    points = list(made.grid())
    assert len(points) == 3 * 4
    assert {"head": "linear", "loss_weighting": "equal"} in points


def test_a_grid_starts_without_listing_the_rest() -> None:
    made = space(
        **{
            name: [step / 100 for step in range(51)]
            for name in ("warmup", "weight_decay", "dropout", "head_dropout")
        },
        seed=list(range(1000)),
    )
    assert len(list(islice(made.grid(), 3))) == 3


def test_a_grid_needs_lists_or_integers() -> None:
    made = space(pooling="free", warmup="free")
    assert not made.is_grid
    assert made.size is None
    assert space(pooling="free", warmup=[0.1, 0.2]).is_grid
    assert space(pooling="free", pooled_layers="free").is_grid
    with pytest.raises(UserError, match=r"needs a list .*, but warmup is a number from 0 to 0\.5"):
        next(made.grid())


def test_integers_make_a_grid_in_their_order() -> None:
    made = space(pooled_layers={"low": 2, "high": 4}, jaccard=[True, False])
    assert [tuple(point.values()) for point in made.grid()] == [
        (layers, jaccard) for layers in (2, 3, 4) for jaccard in (True, False)
    ]
    one = space(warmup={"low": 0.1, "high": 0.1})
    assert list(one.grid()) == [{"warmup": 0.1}]


def test_a_huge_space_is_counted_without_listing_it() -> None:
    made = space(
        seed="free",
        samples_per_epoch="free",
        smart=[False, True],
        smart_steps="free",  # 1 to 10
        loss_weighting=["equal", "tuned"],
        loss_weights=[[1, 0, 0], [0, 1, 0]],
        trainable_layers=["all", 2, "none"],
        lora_rank="free",  # five, of which one
        reinitialized_layers="free",  # lets these be 0 to 6
    )
    layers = (4 + 7) * 11 + 11 + 1  # without the training of any, nothing is smart
    assert made.size == 2**31 * (10_000_000 - 1) * 3 * layers
    assert len(list(islice(made.grid(), 3))) == 3


LISTS: dict[str, list[Value]] = {
    "pooling": ["cls", "max"],
    "head": ["linear", "feed-forward"],
    "jaccard": [False, True],
    "loss_weighting": ["equal", "tuned", "report"],
    "loss_weights": [[1, 0, 0], [0, 1, 0]],
    "trainable_layers": ["none", 1, "all"],
    "encoder_learning_rate": [1e-5, 1e-4],
    "head_dropout": [0.0, 0.2],
}


@settings(max_examples=tries(40))
@given(st.sets(st.sampled_from(list(LISTS)), max_size=4))
def test_a_grid_has_each_different_configuration_once(names: set[str]) -> None:
    if "loss_weights" in names:
        names.add("loss_weighting")
    table = {name: LISTS[name] for name in names}
    made = space(**table)
    points = list(made.grid())
    assert made.size == len(points)
    every = {
        repr(made.config(dict(zip(table, point, strict=True))).active())
        for point in product(*table.values())
    }
    assert len(points) == len(every)
    assert {repr(made.config(point).active()) for point in points} == every
    for point in points:
        assert point == {n: v for n, v in made.config(point).active().items() if n in made.free}
