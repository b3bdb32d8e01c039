from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import synthetic_curves
from benchmarks.record_curves import main, smaller_dev
from benchmarks.replay.points import default_point, report_points
from benchmarks.replay.recorded_curves import point, read_curves, replayed_study
from model import DEV, TRAIN, load_material
from spaces import UserError, load_study, parse_study

STUDY = "paper16-continuous"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Made-up curves of 12 configurations, the default one with three seeds."""
    written = tmp_path / "curves.jsonl"
    synthetic_curves.write(written, STUDY, configurations=12, replicates=2, epochs=9, seed=0)
    return written


def test_curves_read_are_those_written(file: Path) -> None:
    curves = read_curves(file)
    study = replayed_study(STUDY, 9, 256)
    assert [(c.number, c.seed) for c in curves] == [*((n, 0) for n in range(12)), (0, 1), (0, 2)]
    assert all(curve.values == point(study, curve.number, 0) for curve in curves)
    assert "".join(curve.line() for curve in curves) == file.read_text(encoding="utf-8")


def test_a_torn_last_line_is_left_out(file: Path) -> None:
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole[:-40], encoding="utf-8")
    assert len(read_curves(file)) == 13


def test_curves_of_two_budgets_are_not_mixed(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    synthetic_curves.write(other, STUDY, configurations=1, replicates=0, epochs=3, seed=0)
    with file.open("a", encoding="utf-8") as stream:
        stream.write(other.read_text(encoding="utf-8"))
    with pytest.raises(UserError, match="one study and one budget"):
        read_curves(file)


@pytest.mark.parametrize("name", ["wide", STUDY])
def test_a_drawn_point_has_exactly_the_active_factors(name: str) -> None:
    study = load_study(name)
    for number in range(50):
        drawn = point(study, number, seed=3)
        assert study.space.check(drawn, "the test") == drawn
        assert {n for n in study.space.free if study.space.is_active(n, drawn)} == drawn.keys()


def test_a_drawn_point_depends_on_its_number_and_the_seed_only() -> None:
    study = load_study("wide")
    assert point(study, 7, seed=0) == point(study, 7, seed=0)
    assert point(study, 7, seed=0) != point(study, 8, seed=0)
    assert point(study, 7, seed=0) != point(study, 7, seed=1)
    assert point(study, 0, seed=1) == default_point(study.space)


def test_the_reports_sixteen_are_different_points_of_both_spaces() -> None:
    for name in ("wide", STUDY):
        space = load_study(name).space
        points = [*report_points(space)]
        assert len({repr(p) for p in points}) == 16
        assert all(space.check(p, "the test") == p for p in points)
        assert {p["encoder_learning_rate"] for p in points} == {1e-5}


def test_a_smaller_dev_split_is_evenly_spaced_and_the_rest_stays() -> None:
    small = {"data": {"train": 32, "dev": 40}}
    corpus = load_material(parse_study(small, "test", "the test")).corpus
    cut = smaller_dev(corpus, 8)
    for task, splits in corpus.splits.items():
        assert len(cut.splits[task][DEV]) == 8
        assert cut.splits[task][DEV].labels[0] == splits[DEV].labels[0]
        assert cut.splits[task][DEV].labels[-1] == splits[DEV].labels[-1]
        assert cut.splits[task][TRAIN] is splits[TRAIN]


@pytest.mark.slow
def test_an_interrupted_recording_goes_on_and_trains_nothing_twice(tmp_path: Path) -> None:
    file = tmp_path / "curves.jsonl"
    command = ["record", "--study", STUDY, "--results", str(file), "--epochs", "1"]
    command += ["--samples", "32", "--dev", "8", "--replicates", "0", "--workers", "1"]
    main([*command, "--configurations", "1"])
    first = file.read_text(encoding="utf-8")
    file.write_text(first + first[:20], encoding="utf-8")  # killed while writing the second
    main([*command, "--configurations", "2"])
    assert file.read_text(encoding="utf-8").startswith(first)
    curves = read_curves(file)
    assert [curve.number for curve in curves] == [0, 1]
    assert all(len(c.scores["mean"]) == len(c.seconds) == 1 for c in curves)
    with pytest.raises(SystemExit):
        main([*command, "--configurations", "2", "--seed", "1"])
