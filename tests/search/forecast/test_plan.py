"""A plan of tiny studies: really timed, ordered as the work is, and nothing left behind."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from model import Material, in_precision, load_material
from search.cli import main
from search.forecast.durations import declared_size
from search.forecast.plan import Plan, dear_factors, predict, representatives, sample
from search.forecast.timing import Timings, slots_here, time_steps
from spaces import Config, ResourceSettings, StudyFile, UserError, parse_study
from spaces.settings import EncoderSettings

MakeStudy = Callable[..., StudyFile]


def test_a_sample_is_a_grid_s_points_or_random_ones() -> None:
    grid = {"pooling": ["mean", "cls"], "jaccard": [True, False]}
    study = parse_study({"space": grid, "search": {"sampler": "grid"}}, "s", "s")
    assert sample(study, 256) == list(study.space.grid())
    assert len(sample(study, 3)) == 3
    study = parse_study({"space": {**grid, "warmup": "free"}}, "s", "s")
    points = sample(study, 64)
    assert len(points) == 64
    assert {(point["pooling"], point["jaccard"]) for point in points} == {
        (pooling, jaccard) for pooling in grid["pooling"] for jaccard in grid["jaccard"]
    }
    assert sample(study, 64) == points
    assert sample(parse_study({}, "s", "s"), 64) == [{}]


def test_the_cheapest_the_dearest_and_the_most_frequent_are_timed() -> None:
    plain, frozen = Config(), Config(trainable_layers="none")
    smart = [Config(smart=True, smart_steps=steps) for steps in (1, 2, 3, 4, 5, 6, 7)]
    chosen = representatives([*[plain] * 20, frozen, *smart], 6, declared_size)
    assert frozen in chosen
    assert smart[-1] in chosen
    assert plain in chosen
    assert len(chosen) == 6
    alike = [Config(pooling=pooling) for pooling in ("mean", "cls")]
    assert len(representatives(alike, 6, declared_size)) == 1


def test_factors_that_make_it_dear_come_with_their_levels() -> None:
    space = {"smart": [True, False], "jaccard": [True, False], "trainable_layers": ["all", "none"]}
    study = parse_study({"space": space}, "s", "s")
    points = list(study.space.grid())
    seconds = [
        {"all": 10.0, "none": 0.5}[point["trainable_layers"]] * (3 if point.get("smart") else 1)
        for point in points
    ]
    found = dear_factors(study, points, seconds)
    assert list(found) == ["trainable_layers", "smart"]
    assert found["trainable_layers"]["none"] == 0.5
    assert "jaccard" not in found


def test_a_first_rung_of_all_data_must_be_an_update(tiny_study: MakeStudy) -> None:
    space = {"sampling": "sequential", "samples_per_epoch": 4096, "batch_size": 32}
    study = tiny_study(space=space, search={"grace_epochs": 0.25})
    load_material(study)  # 3 tasks of 64 examples are 6 updates
    early = tiny_study(space=space, search={"grace_epochs": 0.1})
    with pytest.raises(UserError, match=r"grace_epochs .* 0\.1 of all data, 6 updates"):
        load_material(early)


SPACE = {
    "trainable_layers": ["all", "none"],
    "smart": [False, True],
    "sampling": ["balanced", "sequential"],
    "samples_per_epoch": 64,
}


@pytest.fixture(scope="module")
def study(tiny_study: MakeStudy) -> StudyFile:
    return tiny_study(
        space=SPACE,
        data={"train": 256, "dev": 64},
        search={"sampler": "grid", "trials": 100},
        resources={"price": 3.6, "concurrent": 2},
    )


@pytest.fixture(scope="module")
def material(study: StudyFile) -> Material:
    return load_material(study)


@pytest.mark.slow
def test_steps_are_timed_in_as_many_processes_as_trials(study: StudyFile) -> None:
    configs = [
        study.space.config({"trainable_layers": "all", "smart": smart, "sampling": "balanced"})
        for smart in (False, True)
    ]
    configs.append(configs[0].replace(trainable_layers="none"))
    fastest = [math.inf] * 3
    for _ in range(4):  # Other work on the machine may slow one down, which time alone tells.
        timings: Timings = time_steps(study, configs, slots=2)
        assert [len(timed) for timed in timings.timed] == [2, 2, 2]
        for timed, config in zip(timings.timed, configs, strict=True):
            for one in timed:
                assert min(one.evaluation, one.save, one.start, one.update) > 0
                assert (one.embedding > 0) == (config.trainable_layers == "none")
        assert timings.ready > 0
        updates = [min(one.update for one in timed) for timed in timings.timed]
        plain, smart, frozen = fastest = list(map(min, fastest, updates))
        if smart > 1.5 * plain > 1.5 * 1.3 * frozen:
            return
    pytest.fail(f"seconds of an update, plain, SMART, frozen: {fastest}")


@pytest.mark.parametrize(("asked", "expected"), [("auto", "bf16"), ("fp32", "fp32")])
def test_steps_are_timed_in_the_precision_that_a_search_would_choose(
    study: StudyFile,
    material: Material,
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    expected: str,
) -> None:
    timed: list[str] = []

    def time_steps(study: StudyFile, *_given: object) -> None:
        timed.append(study.resources.precision)
        raise InterruptedError

    monkeypatch.setattr("search.forecast.plan.faster_precision", lambda *_given: "bf16")
    monkeypatch.setattr("search.forecast.plan.time_steps", time_steps)
    with pytest.raises(InterruptedError):
        predict(in_precision(study, asked), material, loading=1.0)
    assert timed == [expected]


@pytest.mark.slow
def test_a_process_that_fails_is_one_sentence(study: StudyFile, tmp_path: Path) -> None:
    gone = dataclasses.replace(study, encoder=EncoderSettings(name=str(tmp_path / "gone")))
    with pytest.raises(UserError, match=r"could not be timed \(.*gone.*\); --no-timing"):
        time_steps(gone, [study.space.config()], slots=2)


@pytest.mark.slow
def test_a_plan_predicts_seconds_cost_and_what_is_dear(
    study: StudyFile, material: Material
) -> None:
    found = []
    for _ in range(4):  # Other work on the machine may slow one step down, which time alone tells.
        plan = predict(study, material, loading=1.0)
        assert isinstance(plan, Plan)
        assert plan.slots == 2
        assert 0 < plan.low < plan.seconds < plan.high
        assert plan.cost == pytest.approx(plan.seconds * 0.001)
        assert plan.ended_by == "trials"
        cheap, dear = plan.cheapest.values["trainable_layers"], plan.dearest.values["smart"]
        # An epoch of all data, 768 examples, is four times one of 64 a task.
        times = plan.factors["sampling"]["sequential"] / plan.factors["sampling"]["balanced"]
        found.append((cheap, dear, times))
        if cheap == "none" and dear is True and times > 2:
            return
    pytest.fail(f"layers of the cheapest, whether the dearest is SMART, ratio: {found}")


@pytest.mark.slow
def test_the_verb_predicts_and_writes_nothing(
    tiny_tables: Callable[..., dict[str, dict[str, Any]]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "search").mkdir()  # a folder of the user's, which is not our package
    (tmp_path / "tiny.toml").write_text(tomli_w.dumps(tiny_tables(search={"hours": 0.001})))
    assert main(["plan", "tiny.toml", "--json", "--nodes", "3"]) == 0
    prediction = json.loads(capsys.readouterr().out)["prediction"]
    assert prediction["seconds"] > 0
    assert prediction["ended_by"] == "hours"
    assert prediction["slots"] % 3 == 0
    assert prediction["cost"] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["search", "tiny.toml"]
    assert main(["plan", "tiny.toml", "--set", "resources.cpus=1000"]) == 0
    assert "this machine is too small for one trial" in capsys.readouterr().out


def test_side_by_side_is_counted_node_by_node() -> None:
    cpus = slots_here(ResourceSettings())
    assert slots_here(ResourceSettings(), nodes=3) == 3 * cpus
    whole = ResourceSettings(cpus=cpus)
    assert slots_here(whole, nodes=3) == 3
    assert slots_here(ResourceSettings(cpus=cpus + 1), nodes=3) == 0
    # The processes of a trial may be on different nodes, but none of them is in two parts.
    assert slots_here(ResourceSettings(cpus=cpus, processes=2)) == 0
    assert slots_here(ResourceSettings(cpus=cpus, processes=2), nodes=3) == 1
    assert slots_here(ResourceSettings(cpus=cpus, concurrent=2), nodes=3) == 2
