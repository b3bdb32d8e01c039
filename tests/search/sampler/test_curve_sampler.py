"""What the model of learning curves proposes, in searches without training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import search.sampler.curve_sampler
from search.ledger.ledger import Ledger
from search.sampler.curve_model import Hyperparameters, Observations
from search.sampler.curve_sampler import _log_improvement
from search.trials.record import Record
from search.trials.study_folder import StudyFolder
from spaces import Value, parse_study

SPACE = {
    "warmup": {"low": 0.0, "high": 0.5},
    "pooling": ["mean", "cls", "max"],
    "loss_weighting": ["equal", "tuned"],
    "loss_weights": "free",
}


def ledger_of(path: Path, space: dict[str, Any], trials: int, scheduler: str = "asha") -> Ledger:
    search = {"sampler": "gp", "trials": trials, "seed": 1, "scheduler": scheduler}
    study = parse_study({"space": {"epochs": 9, **space}, "search": search}, "s", "s")
    folder = StudyFolder(path)
    folder.open(study)
    return Ledger(study, folder)


def score(values: dict[str, Value], epoch: int) -> float:
    """Best with a warm-up of 0.4 and mean pooling."""
    found = 0.9 - abs(values["warmup"] - 0.4) - 0.1 * (values["pooling"] != "mean")
    return found * (1 - 0.5 / epoch)


def workers(ledger: Ledger, count: int) -> None:
    """So many trials at once, an epoch of each in turn."""
    running: list[Record] = []
    while True:
        while len(running) < count and (record := ledger.next()) is not None:
            ledger.start(record.id)
            running.append(record)
        if not running:
            return
        for record in list(running):
            epoch = int(record.epoch) + 1
            goes_on = ledger.report(record.id, epoch, score(dict(record.values), epoch))
            if not goes_on or epoch == 9:
                ledger.end(record.id)
                running.remove(record)


def test_the_first_proposals_fill_the_space(tmp_path: Path) -> None:
    """The known recipes are at a low warm-up, so that the first one is at a high one."""
    ledger = ledger_of(tmp_path / "design", SPACE, 8)
    workers(ledger, 8)
    points = [record.values for record in ledger.records.values()]
    assert {point["pooling"] for point in points} == {"mean", "cls", "max"}
    for weighting in ("equal", "tuned"):
        warmups = sorted(p["warmup"] for p in points if p["loss_weighting"] == weighting)
        assert len(warmups) >= 3
        assert warmups[-1] - warmups[0] > 0.25  # of 0.5


def test_each_model_takes_another_part_of_the_trials_for_its_hyperparameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = []
    fitted = search.sampler.curve_sampler.fitted

    def counted(seen: Observations, groups: np.ndarray) -> Hyperparameters:
        parts.append(frozenset(seen.runs.tolist()))
        return fitted(seen, groups)

    monkeypatch.setattr(search.sampler.curve_sampler, "fitted", counted)
    workers(ledger_of(tmp_path / "parts", SPACE, 20), 1)
    assert len(parts) == 12  # of all but the first 8
    assert [len(part) for part in parts[:4]] == [math.ceil(0.7 * told) for told in range(8, 12)]
    assert len({*parts}) == 12
    assert frozenset().union(*parts) >= {*range(16)}


def test_a_large_search_gets_its_proposals_in_advance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And they are as good: one model for an eighth of what runs."""
    made = []

    class Counted(search.sampler.curve_sampler.CurveModel):
        def __init__(self, *given: Any) -> None:
            made.append(self)
            super().__init__(*given)

    monkeypatch.setattr(search.sampler.curve_sampler, "CurveModel", Counted)
    ledger = ledger_of(tmp_path / "many", SPACE, 160)
    workers(ledger, 32)
    assert len(made) < 2 * 160 / 2, len(made)  # one with what is pending, one without
    values = [record.values for record in ledger.records.values()]
    assert len({str(point) for point in values}) == 160
    late = values[100:]
    assert sum(abs(v["warmup"] - 0.4) < 0.05 for v in late) > len(late) / 2  # by chance a fifth
    assert sum(v["pooling"] == "mean" for v in late) > len(late) / 2  # by chance a third


@pytest.mark.parametrize("scheduler", ["asha", "promotion"])
def test_a_large_search_that_is_interrupted_proposes_what_it_would_have(
    tmp_path: Path, scheduler: str
) -> None:
    """Also in the middle of what was made in advance, and where a proposal was not stored yet."""

    def run(name: str, moments: set[int]) -> list[tuple[str, dict[str, Value], dict[float, float]]]:
        ledger = ledger_of(tmp_path / name, SPACE, 64, scheduler)
        running: dict[str, Record] = {}
        step = 0
        while True:
            while len(running) < 32 and (record := ledger.next()) is not None:
                step += 1
                if step in moments:
                    ledger = ledger_of(tmp_path / name, SPACE, 64, scheduler)
                    again = [ledger.next() for _ in range(len(running) + 1)]
                    assert {r.id for r in again if r} == {*running, record.id}
                    running = {trial: ledger.records[trial] for trial in running}
                    record = ledger.records[record.id]
                ledger.start(record.id)
                running[record.id] = record
            if not running:
                return [(r.id, dict(r.values), r.scores) for r in ledger.records.values()]
            for record in list(running.values()):
                epoch = int(record.epoch) + 1
                goes_on = ledger.report(record.id, epoch, score(dict(record.values), epoch))
                if not goes_on or epoch == 9:
                    ledger.end(record.id)
                    del running[record.id]

    assert run("parts", {11, 34, 37, 39, 50}) == run("whole", set())


def test_a_long_search_thins_out_what_the_model_knows_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = []

    class Counted(search.sampler.curve_sampler.CurveModel):
        def __init__(self, seen: Observations, *given: Any) -> None:
            known.append(len(seen))
            super().__init__(seen, *given)

    monkeypatch.setattr(search.sampler.curve_sampler, "CurveModel", Counted)
    monkeypatch.setattr(search.sampler.curve_sampler, "_KNOWN", 40)
    ledger = ledger_of(tmp_path / "long", SPACE, 60)
    workers(ledger, 2)
    assert max(known) == 41, max(known)  # and what the other worker has begun
    late = [record.values for record in ledger.records.values()][40:]
    assert sum(abs(v["warmup"] - 0.4) < 0.05 for v in late) > len(late) / 4  # by chance a fifth


def test_what_was_refused_is_not_proposed_again(tmp_path: Path) -> None:
    """In a categorical space the model has always something new until all were tried, also where
    some are not shown to it because they failed."""
    space = {"pooling": ["mean", "cls", "max"], "jaccard": [True, False], "smart": [True, False]}
    ledger = ledger_of(tmp_path / "all", {**space, "warmup": [0.1, 0.4]}, 24)
    asked = []
    while (record := ledger.next()) is not None:
        ledger.start(record.id)
        asked.append(str(record.values))
        if record.values["pooling"] == "mean" and record.values["warmup"] == 0.4:
            ledger.end(record.id, "diverged")
            continue
        for epoch in range(1, 10):
            if not ledger.report(record.id, epoch, score(dict(record.values), epoch)):
                break
        ledger.end(record.id)
    assert len(asked) == len({*asked}) == 24


def test_improvement_ranks_what_is_far_below_the_best() -> None:
    mean = np.linspace(-60, 2, 400)
    found = _log_improvement(mean, np.ones(400), 0.0)
    assert (np.diff(found) > 0).all()
    near = _log_improvement(np.array([0.0]), np.array([2.0]), 0.0)
    assert near[0] == pytest.approx(np.log(2 / np.sqrt(2 * np.pi)))
