"""The first points, and that no configuration is trained twice."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.samplers import BaseSampler, RandomSampler

import search.ledger.proposals
from search.ledger.ledger import Ledger
from search.trials.study_folder import StudyFolder
from spaces import REPORT, Space, StudyFile, Value, load_study, parse_study
from tests.tries import tries

CATEGORICAL = {
    "pooling": ["mean", "cls", "max"],
    "shared_pair_head": [True, False],
    "similarity": ["head", "cosine"],  # only without a shared head
    "jaccard": [True, False],
}  # 3 * (1 + 2) * 2 = 18 configurations


def study_of(space: Mapping[str, Any], **search: Any) -> StudyFile:
    return parse_study({"space": {"epochs": 3, **space}, "search": search}, "study", "study")


def opened(study: StudyFile, path: Path) -> Ledger:
    folder = StudyFolder(path)
    folder.open(study)
    return Ledger(study, folder)


def run(ledger: Ledger, trials: int = 10**6) -> list[Mapping[str, Value]]:
    """Train so many trials that are as good as their mean pooling; all values so far."""
    while trials and (trial := ledger.next()):
        trials -= 1
        ledger.start(trial.id)
        for epoch in (1, 2, 3):
            good = 0.5 * (trial.values.get("pooling") == "mean")
            if epoch not in trial.scores and not ledger.report(trial.id, epoch, good):
                break
        ledger.end(trial.id)
    return [record.values for record in ledger.records.values()]


def activities(ledger: Ledger) -> list[Mapping[str, Value]]:
    config = ledger.study.space.config
    return [config(record.values).active() for record in ledger.records.values()]


def assert_all_different(configurations: list[Mapping[str, Value]]) -> None:
    assert len({repr(configuration) for configuration in configurations}) == len(configurations)


@pytest.mark.parametrize("sampler", ["auto", "tpe", "gp", "random", "grid"])
def test_a_categorical_space_is_run_once_and_whole(tmp_path: Path, sampler: str) -> None:
    study = study_of(CATEGORICAL, sampler=sampler, trials=100)
    assert study.trials == 18
    run(opened(study, tmp_path), 7)
    ledger = opened(study, tmp_path)  # a search that goes on knows what it had
    run(ledger)
    assert_all_different(activities(ledger))
    assert len(ledger.records) == 18
    every = [study.space.config(point).active() for point in study.space.grid()]
    assert sorted(map(repr, activities(ledger))) == sorted(map(repr, every))
    assert opened(study_of(CATEGORICAL, sampler=sampler, trials=200), tmp_path).next() is None


FINITE: dict[str, tuple[dict[str, Any], int]] = {
    "two integers": ({"pooled_layers": {"low": 1, "high": 2}}, 2),
    "a log scale": ({"batch_size": {"low": 2, "high": 9, "log": True}}, 8),
    "a condition": ({"smart": [False, True], "smart_steps": {"low": 1, "high": 3}}, 4),
    "one number": ({"warmup": {"low": 0.1, "high": 0.1}, "jaccard": [True, False]}, 2),
    "weights": (
        {
            "loss_weighting": ["equal", "tuned"],
            "loss_weights": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
            "early_stopping": {"low": 3, "high": 4},
        },
        8,
    ),
}


@pytest.mark.parametrize("sampler", ["auto", "tpe", "gp", "random", "grid"])
@pytest.mark.parametrize("name", list(FINITE))
def test_a_space_of_lists_and_integers_is_run_once_and_whole(
    tmp_path: Path, sampler: str, name: str
) -> None:
    space, size = FINITE[name]
    study = study_of(space, sampler=sampler, trials=12)
    assert study.trials == size
    run(opened(study, tmp_path), size // 2)
    ledger = opened(study, tmp_path)
    run(ledger)
    assert_all_different(activities(ledger))
    assert len(ledger.records) == size


@pytest.mark.parametrize("sampler", ["auto", "tpe", "gp", "random", "grid"])
def test_a_huge_space_of_integers_is_never_listed(tmp_path: Path, sampler: str) -> None:
    space = {"seed": "free", "samples_per_epoch": "free", "batch_size": {"low": 2, "high": 64}}
    study = study_of(space, sampler=sampler, trials=12)
    assert study.trials == 12
    assert study.sampler == ("gp" if sampler == "auto" else sampler)
    assert_all_different(run(opened(study, tmp_path)))


def test_another_seed_is_another_configuration(tmp_path: Path) -> None:
    study = study_of({"jaccard": [True, False], "seed": [0, 1, 2]}, sampler="tpe", trials=100)
    assert len(run(opened(study, tmp_path))) == 6


class Stubborn(RandomSampler):
    """Proposes one and the same configuration."""

    asked = 0

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        Stubborn.asked += name == "pooling"
        return distribution.choices[-1]


def test_where_the_sampler_insists_something_new_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stubborn(_: StudyFile) -> Callable[[int], BaseSampler]:
        return lambda seed: Stubborn(seed=seed)

    monkeypatch.setattr(search.ledger.proposals, "make_sampler", stubborn)
    fifth = []
    for seed in range(12):
        study = study_of(CATEGORICAL, sampler="tpe", trials=5, seed=seed)
        values = run(opened(study, tmp_path / str(seed)))
        assert_all_different(values)
        assert values[2] == {  # after the default and the report's
            "pooling": "max",
            "shared_pair_head": False,
            "similarity": "cosine",
            "jaccard": False,
        }
        fifth.append(repr(values[4]))
    assert Stubborn.asked == 12 * (1 + 2 * search.ledger.proposals._ATTEMPTS)  # it is asked again
    assert len({*fifth}) > 4  # at random
    whole = opened(study_of(CATEGORICAL, sampler="tpe", trials=18), tmp_path / "whole")
    assert_all_different(run(whole))


def test_a_first_point_is_not_repeated_in_a_space_that_is_not_finite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With equal weights there is nothing continuous to vary."""
    monkeypatch.setattr(
        search.ledger.proposals, "make_sampler", lambda _: lambda s: RandomSampler(seed=s)
    )
    space = {"loss_weighting": ["report", "tuned"], "loss_weights": "free", "dropout": [0.1, 0.2]}
    ledger = opened(study_of(space, trials=30), tmp_path)
    values = run(ledger)
    assert len(values) == 30
    assert_all_different(values)
    assert sum(v["loss_weighting"] == "report" for v in values) == 2


def test_the_default_and_the_report_s_recipe_come_first(tmp_path: Path) -> None:
    study = load_study("paper16-continuous")
    first, second, third = run(opened(study, tmp_path / "continuous"), 3)
    default = study.space.config().active()
    assert first == {name: default[name] for name in first}
    assert second == {
        "pooling": "mean",
        "shared_pair_head": True,
        "loss_weighting": "report",
        "extra_data": False,
        "encoder_learning_rate": 1e-5,
        "head_learning_rate": 1e-3,
    }
    assert third not in (first, second)


def test_the_report_s_recipe_is_tried_only_where_it_is_another_point(tmp_path: Path) -> None:
    space = {"pooling": ["cls", "mean"], "warmup": {"low": 0.05, "high": 0.5}}
    first, second, *_ = run(opened(study_of(space), tmp_path), 3)
    assert first == {"pooling": "mean", "warmup": 0.1}
    assert second["warmup"] not in (0.0, 0.1)  # the report's, 0, is not allowed


def test_the_report_s_recipe_is_a_point_of_the_whole_declaration() -> None:
    study = load_study("paper16")
    point = study.space.point(REPORT)
    assert point in study.space.grid()
    config = study.space.config(point)
    assert {n: getattr(config, n) for n in REPORT} == dict(REPORT)  # also what paper16 fixes


def test_auto_is_a_grid_where_the_trials_are_enough_for_one() -> None:
    assert study_of(CATEGORICAL, trials=18).sampler == "grid"
    assert study_of(CATEGORICAL, trials=17).sampler == "gp"
    assert study_of({"warmup": "free"}, trials=1000).sampler == "gp"
    assert study_of({"pooled_layers": "free"}, trials=4).sampler == "grid"
    assert study_of({"pooled_layers": "free"}, trials=3).sampler == "gp"
    assert study_of(CATEGORICAL, sampler="random", trials=18).sampler == "random"


def test_a_search_that_becomes_a_grid_runs_what_is_left(tmp_path: Path) -> None:
    run(opened(study_of(CATEGORICAL, trials=5), tmp_path))
    ledger = opened(study_of(CATEGORICAL, trials=18), tmp_path)
    assert ledger.study.sampler == "grid"
    assert_all_different(run(ledger))
    assert len(ledger.records) == 18


@settings(
    max_examples=tries(15),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.randoms(use_true_random=False), st.sampled_from(["tpe", "gp", "random"]))
def test_no_configuration_comes_twice_in_any_categorical_space(
    tmp_path_factory: pytest.TempPathFactory, draw: random.Random, sampler: str
) -> None:
    chosen = {
        name: draw.sample(values, draw.randint(1, len(values)))
        for name, values in CATEGORICAL.items()
        if draw.random() < 0.7
    }
    if "similarity" in chosen:
        chosen["shared_pair_head"] = [True, False]
    study = study_of(chosen, sampler=sampler, trials=12)
    ledger = opened(study, tmp_path_factory.mktemp("study"))
    run(ledger)
    assert_all_different(activities(ledger))
    assert len(ledger.records) == min(12, sum(1 for _ in Space.grid(study.space)))
