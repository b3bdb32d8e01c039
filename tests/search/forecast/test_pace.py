"""How long a study has to go, from what its trials wrote."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from search.forecast.pace import Pace
from search.ledger.ledger import Ledger
from search.ledger.meter import Spent
from search.trials.study_folder import StudyFolder
from spaces import StudyFile, parse_study

SAMPLES = 1000


def study_of(trials: int = 4, **search: Any) -> StudyFile:
    space: dict[str, Any] = {"epochs": 4, "samples_per_epoch": SAMPLES, "smart": [False, True]}
    if "sampler" in search:  # more configurations than trials
        space["warmup"] = {"low": 0.0, "high": 0.5}
    plain = {"trials": trials, "scheduler": "none", "sampler": "grid"}
    return parse_study({"space": space, "search": {**plain, **search}}, "s", "s")


class Searched:
    """A study of which trials can be run that take as long as one says."""

    def __init__(self, study: StudyFile, path: Path) -> None:
        self.folder = StudyFolder(path)
        self.folder.open(study)
        self.ledger = Ledger(study, self.folder)
        self.pace = Pace(study, self.folder)

    def train(self, epochs: int, seconds: float, save: float = 0.0, ago: float = 0.0) -> None:
        """A new trial, evaluated in 1 second an epoch; its last report so many seconds ago."""
        trial = self.ledger.next()
        assert trial is not None
        folder = self.folder.trial(trial.id)
        self.ledger.start(trial.id)
        folder.start(self.ledger.study.space.config(trial.values))
        for epoch in range(1, epochs + 1):
            rate = 3 * SAMPLES / (seconds - 1)
            times = {"seconds": seconds, "examples_per_second": rate}
            folder.record(epoch, {"score/mean": 0.5, **times})
            self.ledger.report(trial.id, epoch, 0.5)
        reported = time.time() - ago
        os.utime(folder.path / "config.toml", 2 * (reported - epochs * (seconds + save),))
        if epochs:
            os.utime(folder.metrics, 2 * (reported,))
        self.ledger.end(trial.id)

    def pause(self, score: float) -> None:
        """A new trial of 10 seconds an epoch, to the first rung."""
        trial = self.ledger.next()
        assert trial is not None
        folder = self.folder.trial(trial.id)
        self.ledger.start(trial.id)
        folder.start(self.ledger.study.space.config(trial.values))
        times = {"seconds": 10.0, "examples_per_second": 3 * SAMPLES / 9}
        folder.record(1, {"score/mean": score, **times})
        written = time.time()
        os.utime(folder.path / "config.toml", 2 * (written - 10,))
        os.utime(folder.metrics, 2 * (written,))
        self.ledger.report(trial.id, 1, score)
        assert self.ledger.end(trial.id).state == "paused"

    def left(self, spent: Spent | None = None) -> float | None:
        ledger = self.ledger
        self.pace.take_up(ledger.records.values())
        found = self.pace.forecast(ledger.tally, spent or Spent())
        return None if found is None else found.seconds


def test_nothing_is_known_before_the_first_report(tmp_path: Path) -> None:
    searched = Searched(study_of(), tmp_path)
    assert searched.left() is None
    searched.train(0, 10)
    assert searched.left() is None


def test_what_is_left_of_a_trial_that_runs_is_known_from_its_first_report(tmp_path: Path) -> None:
    searched = Searched(study_of(trials=1), tmp_path)
    searched.train(1, 10)
    assert searched.left() == pytest.approx(30, abs=1)
    searched = Searched(study_of(trials=1), tmp_path / "later")
    searched.train(1, 10, ago=4)
    assert searched.left() == pytest.approx(26, abs=1)


def test_what_a_trial_takes_beside_its_epochs_counts(tmp_path: Path) -> None:
    searched = Searched(study_of(trials=1), tmp_path)
    searched.train(2, 10, save=2)
    assert searched.left() == pytest.approx(2 * 12, abs=1)


def test_a_dear_trial_that_runs_has_more_to_go(tmp_path: Path) -> None:
    searched = Searched(study_of(), tmp_path)
    searched.train(4, 10)  # without SMART
    searched.train(2, 28)  # with it
    assert searched.left() == pytest.approx(2 * 28, abs=1)


def test_trials_to_come_are_like_those_so_far(tmp_path: Path) -> None:
    searched = Searched(study_of(trials=3, sampler="random"), tmp_path)
    for _ in range(2):
        searched.train(4, 10)
    # As cheap, or as dear as the work says that SMART makes it; on one worker.
    left = searched.left()
    assert left is not None
    assert 39 < left < 130


def test_a_budget_that_is_used_up_leaves_what_runs(tmp_path: Path) -> None:
    study = study_of(trials=100, sampler="random", hours=1.0)
    searched = Searched(study, tmp_path)
    searched.train(1, 10)
    assert searched.left(Spent(3600)) == pytest.approx(30, abs=1)
    more = searched.left(Spent(3500))
    assert more is not None
    assert 100 <= more < 100 + 4 * 40  # no trial starts after 100 s; it may be a dear one


def test_a_study_that_no_longer_improves_has_no_trial_to_come(tmp_path: Path) -> None:
    searched = Searched(study_of(trials=100, sampler="random", patience=1), tmp_path)
    searched.train(4, 10)
    left = searched.left()
    assert left is not None
    assert left > 10 * 40  # as far as is known
    searched.train(4, 10)
    assert searched.left() == 0


def test_a_cost_is_used_up_at_the_price_of_until_now(tmp_path: Path) -> None:
    tables = study_of(trials=100, sampler="random").tables()
    tables["search"]["cost"] = 2.0
    tables["resources"]["price"] = 1.0
    study = parse_study(tables, "s", "s")
    searched = Searched(study, tmp_path)
    searched.train(1, 10)
    left = searched.left(Spent(1000, 1.5))  # 0.5 are left: 333 s
    assert left is not None
    assert 333 <= left < 333 + 4 * 40


def test_paused_trials_go_on_as_they_are_promoted(tmp_path: Path) -> None:
    tables = study_of(trials=3, sampler="random", scheduler="promotion").tables()
    tables["space"] |= {"epochs": 9, "smart": False}
    searched = Searched(parse_study(tables, "s", "s"), tmp_path)
    searched.pause(0.5)
    searched.pause(0.7)
    # The third trains one epoch, and the best of them two and, left alone, six more.
    assert searched.left() == pytest.approx(90, abs=2)


def test_a_budget_of_time_that_is_used_up_leaves_nothing_of_the_paused_ones(tmp_path: Path) -> None:
    tables = study_of(trials=3, sampler="random", scheduler="promotion", hours=1.0).tables()
    searched = Searched(parse_study(tables, "s", "s"), tmp_path)
    searched.pause(0.5)
    left = searched.left()
    assert left is not None
    assert left > 0
    assert searched.left(Spent(3600)) == 0


@pytest.mark.parametrize("sampling", ["balanced", "sequential"])
def test_two_reports_at_one_update_take_no_training(tmp_path: Path, sampling: str) -> None:
    tables = study_of(trials=1).tables()
    tables["search"]["grace_epochs"] = 0.33
    tables["space"] |= {"smart": False, "warmup": [0.1, 0.2], "sampling": sampling}
    searched = Searched(parse_study(tables, "s", "s"), tmp_path)
    trial = searched.ledger.next()
    assert trial is not None
    searched.ledger.start(trial.id)
    folder = searched.folder.trial(trial.id)
    folder.start(searched.ledger.study.space.config(trial.values))
    rate = 3 * SAMPLES / 9
    for epoch, seconds, shown in ((0.33, 4.0, rate), (0.99, 7.0, rate), (1, 1.0, 0.0)):
        times = {"seconds": seconds, "examples_per_second": shown}
        folder.record(epoch, {"score/mean": 0.5, **times})
        searched.ledger.report(trial.id, epoch, 0.5)
    os.utime(folder.path / "config.toml", 2 * (time.time() - 12,))
    left = searched.left()
    # Three epochs of nine seconds, and a second each time that it is evaluated: sequential
    # sampling does not tell the one from the other, and pays both for an epoch.
    assert left == pytest.approx(30 if sampling == "balanced" else 33, abs=2)
