"""Level means and intervals, by hand where a hand can."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from scipy import stats

from search.analysis.basis import common_epoch, describe_basis, describe_sampler
from search.analysis.factor_effect import FactorEffect
from search.analysis.level_means import level_means
from search.ledger.ledger import Ledger
from search.trials.journal_file import read_records
from search.trials.record import Record
from search.trials.study_folder import StudyFolder
from spaces import Space, Value, load_study

TWO_BY_TWO = {"pooling": ["mean", "cls"], "jaccard": [False, True]}


def record(number: int, score: float | dict[int, float], **values: Value) -> Record:
    scores = score if isinstance(score, dict) else {1: score}
    return Record(f"{number:04d}", values, "completed", scores)


def by_name(effects: list[FactorEffect]) -> dict[str, FactorEffect]:
    return {effect.factor: effect for effect in effects}


def grid(score: Callable[[str, bool], float]) -> list[Record]:
    points = product(["mean", "cls"], [False, True])
    return [record(n, score(p, j), pooling=p, jaccard=j) for n, (p, j) in enumerate(points)]


def test_paired_differences_by_hand() -> None:
    # pooling: cls minus mean is -0.10 and -0.14; jaccard: true minus false is 0.02 and -0.02.
    scores = {("mean", False): 0.7, ("mean", True): 0.72, ("cls", False): 0.6, ("cls", True): 0.58}
    effects = level_means(grid(lambda p, j: scores[p, j]), Space.parse(TWO_BY_TWO, "here"), 1)
    assert [effect.factor for effect in effects] == ["pooling", "jaccard"]
    pooling, jaccard = effects

    assert [(level.label, level.count) for level in pooling.levels] == [("mean", 2), ("cls", 2)]
    assert pooling.levels[0].mean == pytest.approx(0.71)
    assert pooling.levels[0].standard_error == pytest.approx(0.01)
    assert pooling.size == pytest.approx(0.12)

    (difference,) = pooling.differences
    # 12.7062 is the 97.5% point of Student's t with one degree of freedom; the standard error of
    # -0.10 and -0.14 is 0.02.
    assert (difference.level, difference.against, difference.pairs) == ("cls", "mean", 2)
    assert difference.mean == pytest.approx(-0.12)
    half = 12.7062 * 0.02
    assert (difference.low, difference.high) == pytest.approx(
        (-0.12 - half, -0.12 + half), abs=1e-5
    )
    assert pooling.verdict == "noise"
    assert "cannot tell" in pooling.describe()
    assert jaccard.size == pytest.approx(0.0)


def test_the_sixteen_configurations_with_planted_effects(tmp_path: Path) -> None:
    study = load_study("paper16", ["epochs=2"])
    folder = StudyFolder(tmp_path / "paper16")
    folder.open(study)
    ledger = Ledger(study, folder)
    while (trial := ledger.next()) is not None:
        v = trial.values
        shared, cls, extra = v["shared_pair_head"], v["pooling"] == "cls", v["extra_data"]
        # Sharing gains 0.10, 0.02 more with [CLS]; [CLS] costs 0.03; extra data and weights: 0.
        score = 0.6 + 0.1 * shared - 0.03 * cls + 0.02 * (shared and cls)
        score += 0.01 if (v["loss_weighting"] == "report") == extra else 0.0
        assert ledger.report(trial.id, 1, score)
        assert ledger.report(trial.id, 2, score + 0.05)
        ledger.end(trial.id)

    records = read_records(folder.journal, study.space)
    assert common_epoch(records) == 2
    effects = by_name(level_means(records, study.space, 2))
    assert list(effects)[:2] == ["shared_pair_head", "pooling"]

    sharing = effects["shared_pair_head"]
    assert [level.count for level in sharing.levels] == [8, 8]
    assert sharing.levels[0].mean == pytest.approx(0.6 + 0.05 - 0.015 + 0.005)
    (difference,) = sharing.differences
    # Eight pairs: 0.10 where pooling is mean, 0.12 where it is cls.
    error = 0.01 * math.sqrt(8 / 7) / math.sqrt(8)
    half = 2.364624 * error  # the 97.5% point of Student's t with seven degrees of freedom
    assert difference.pairs == 8
    assert difference.mean == pytest.approx(0.11)
    assert (difference.low, difference.high) == pytest.approx((0.11 - half, 0.11 + half), abs=1e-7)
    assert sharing.verdict == "clear"
    assert "cannot tell" not in sharing.describe()

    # +0.01 in four pairs, -0.01 in the other four.
    extra = effects["extra_data"]
    assert extra.differences[0].mean == pytest.approx(0.0)
    assert extra.verdict == "noise"
    assert describe_basis(records, study.space, 2) == (
        "After epoch 2, all 16 trials, one seed each. "
        "One seed a configuration: a lead, not a finding."
    )


def test_three_levels_share_the_error_among_their_three_differences() -> None:
    space = Space.parse({"pooling": ["mean", "cls", "max"], "jaccard": [False, True]}, "here")
    scores = {"mean": (0.5, 0.6), "cls": (0.7, 0.9), "max": (0.8, 0.8)}
    records = [
        record(2 * n + j, scores[p][j], pooling=p, jaccard=bool(j))
        for n, p in enumerate(scores)
        for j in (0, 1)
    ]
    pooling = by_name(level_means(records, space, 1))["pooling"]
    found = {(d.level, d.against): d for d in pooling.differences}
    assert set(found) == {("cls", "mean"), ("max", "mean"), ("max", "cls")}
    half = stats.t.ppf(1 - 0.05 / 3 / 2, 1) * 0.05  # pairs differ by 0.2 and 0.3
    assert found["cls", "mean"].low == pytest.approx(0.25 - half)
    assert found["cls", "mean"].high == pytest.approx(0.25 + half)
    assert pooling.size == pytest.approx(0.25)


def test_trials_that_are_no_grid_are_compared_as_two_samples() -> None:
    space = Space.parse({"jaccard": [False, True], "dropout": {"low": 0, "high": 0.5}}, "here")
    off, on = [0.5, 0.52, 0.54], [0.6, 0.61, 0.65, 0.64]
    records = [record(n, s, jaccard=n >= 3, dropout=n / 20) for n, s in enumerate(off + on)]
    jaccard = by_name(level_means(records, space, 1))["jaccard"]
    expected = stats.ttest_ind(on, off, equal_var=False).confidence_interval(0.95)
    (difference,) = jaccard.differences
    assert difference.pairs is None
    assert (difference.low, difference.high) == pytest.approx((expected.low, expected.high))
    assert jaccard.verdict == "clear"


def test_equal_scores_within_levels_give_no_interval() -> None:
    """Each level twice the same score: how far a third would be, nobody knows."""
    space = Space.parse({"pooling": ["mean", "cls"], "dropout": {"low": 0, "high": 0.5}}, "here")
    for second in ([0.75, 0.75], [0.45 + 0.3, 0.15 * 5], [0.7, 0.8]):
        scores = [0.5, 0.5, *second]
        records = [
            record(n, s, pooling="mean" if n < 2 else "cls", dropout=[0.1, 0.4, 0.3, 0.2][n])
            for n, s in enumerate(scores)
        ]
        pooling = by_name(level_means(records, space, 1))["pooling"]
        (difference,) = pooling.differences
        assert difference.mean == pytest.approx(0.25)
        assert (difference.low, difference.high) == (-math.inf, math.inf)
        assert pooling.levels[0].standard_error is None
        assert pooling.verdict == "unknown"
        assert pooling.describe() == (
            "cannot tell: cls minus mean = +0.250 (no interval: the scores of a level are equal, "
            "not paired)"
        )


def test_equal_differences_of_all_pairs_give_no_interval() -> None:
    scores = {("mean", False): 0.5, ("mean", True): 0.7, ("cls", False): 0.6, ("cls", True): 0.8}
    assert scores["cls", True] - scores["mean", True] != scores["cls", False] - 0.5  # by rounding
    effects = by_name(level_means(grid(lambda p, j: scores[p, j]), Space.parse(TWO_BY_TWO, "h"), 1))
    assert {effect.verdict for effect in effects.values()} == {"unknown"}
    assert effects["pooling"].describe() == (
        "cannot tell: cls minus mean = +0.100 (no interval: all differences are equal, 2 pairs)"
    )


def test_one_pair_says_nothing_of_its_noise() -> None:
    space = Space.parse({"pooling": ["mean", "cls"]}, "here")
    records = [record(0, 0.5, pooling="mean"), record(1, 0.9, pooling="cls")]
    (effect,) = level_means(records, space, 1)
    assert effect.verdict == "too few trials"
    assert effect.differences == ()


def test_a_trend_of_one_trial_against_equal_ones_is_no_certainty() -> None:
    """Perfectly correlated, and one of eight orders: the t distribution's p-value is 0."""
    space = Space.parse({"early_stopping": {"low": 0, "high": 9}, "seed": "free"}, "here")
    records = [
        record(n, 0.9 if n == 7 else 0.5, early_stopping=9 if n == 7 else 0, seed=n)
        for n in range(8)
    ]
    effect = by_name(level_means(records, space, 1))["early_stopping"]
    assert effect.trend is not None
    assert effect.trend.correlation == pytest.approx(1)
    assert effect.trend.p_value == pytest.approx(2 / 8, abs=0.02)  # two-sided
    assert effect.verdict != "clear"


def test_scores_that_differ_by_rounding_have_no_trend() -> None:
    space = Space.parse({"dropout": {"low": 0.0, "high": 0.9}}, "here")
    records = [record(n, 0.5 + n * 1e-16, dropout=n / 10) for n in range(9)]
    (effect,) = level_means(records, space, 1)
    assert effect.trend is None
    assert effect.verdict == "unknown"


def test_a_repeated_configuration_does_not_make_the_noise_look_small() -> None:
    space = Space.parse(TWO_BY_TWO, "here")
    once = [
        record(0, 0.7, pooling="mean", jaccard=True),
        record(1, 0.6, pooling="cls", jaccard=True),
    ]
    again = [record(n + 2, r.scores, **r.values) for n, r in enumerate(once)]
    effects = by_name(level_means(once + again, space, 1))
    assert [level.count for level in effects["pooling"].levels] == [1, 1]
    assert effects["pooling"].verdict == "too few trials"
    assert "tried again (2 trials)" in describe_basis(once + again, space, 1)


def test_numbers_have_thirds_and_a_trend() -> None:
    space = Space.parse({"dropout": {"low": 0.0, "high": 0.9}}, "here")
    dropouts = [0.05, 0.8, 0.1, 0.3, 0.4, 0.5, 0.6, 0.7, 0.2]
    records = [record(n, 0.9 - d, dropout=d) for n, d in enumerate(dropouts)]
    (effect,) = level_means(records, space, 1)
    assert [(level.label, level.count) for level in effect.levels] == [
        ("0.05 to 0.2", 3),
        ("0.3 to 0.5", 3),
        ("0.6 to 0.8", 3),
    ]
    assert effect.levels[1].mean == pytest.approx(0.5)
    assert effect.trend is not None
    assert effect.trend.correlation == pytest.approx(-1)
    assert effect.trend.p_value < 0.001
    assert effect.verdict == "clear"


def test_a_trend_over_few_trials_counts_every_order() -> None:
    space = Space.parse({"dropout": {"low": 0.0, "high": 0.9}}, "here")
    records = [record(n, n / 10, dropout=n / 10) for n in range(4)]
    (effect,) = level_means(records, space, 1)
    assert effect.trend is not None
    assert effect.trend.p_value == pytest.approx(2 / 24)  # up and down, of 4! orders
    assert effect.verdict != "clear"


def test_equal_values_stay_in_one_third() -> None:
    space = Space.parse({"max_length": {"low": 32, "high": 128}}, "here")
    lengths = [32, 32, 32, 32, 64, 128]
    records = [record(n, 0.5 + n / 100, max_length=v) for n, v in enumerate(lengths)]
    (effect,) = level_means(_with_different_seeds(records), space, 1)
    assert [(level.label, level.count) for level in effect.levels] == [("32", 4), ("64 to 128", 2)]


def _with_different_seeds(records: list[Record]) -> list[Record]:
    return [record(n, r.scores, **r.values, seed=n) for n, r in enumerate(records)]


def test_a_simplex_is_its_components_and_inactive_trials_do_not_count() -> None:
    space = Space.parse({"loss_weighting": ["equal", "tuned"], "loss_weights": "free"}, "here")
    tuned = [(0.2, 0.3, 0.5), (0.6, 0.2, 0.2), (0.1, 0.8, 0.1)]
    records = [
        record(n, 0.5 + n / 50, loss_weighting="tuned", loss_weights=w) for n, w in enumerate(tuned)
    ]
    records.append(record(3, 0.9, loss_weighting="equal"))
    effects = by_name(level_means(records, space, 1))
    assert set(effects) == {
        "loss_weighting",
        "loss_weights.sst",
        "loss_weights.para",
        "loss_weights.sts",
    }
    assert effects["loss_weights.sst"].trials == 3
    assert [level.label for level in effects["loss_weights.sst"].levels] == ["0.1", "0.2", "0.6"]
    assert effects["loss_weights.para"].verdict == "too few trials"


def test_epochs_are_never_mixed() -> None:
    space = Space.parse(TWO_BY_TWO, "here")
    records = grid(lambda p, j: 0.5)
    for r in records[1:]:
        r.scores[2] = 0.9
    assert common_epoch(records) == 1
    assert all(e.size == pytest.approx(0) for e in level_means(records, space, 1))
    later = by_name(level_means(records, space, 2))["pooling"]
    assert [level.count for level in later.levels] == [1, 2]
    assert "the 3 of 4 trials that got there" in describe_basis(records, space, 2)


def test_nothing_measured_is_said_so() -> None:
    space = Space.parse(TWO_BY_TWO, "here")
    assert common_epoch([]) == 0
    assert {effect.verdict for effect in level_means([], space, 0)} == {"too few trials"}
    assert "No trial has a score yet" in describe_basis([], space, 0)


def test_only_a_sampler_that_learns_is_warned_about() -> None:
    assert describe_sampler("grid") == describe_sampler("random") == ""
    assert "may owe its mean" in describe_sampler("tpe")
