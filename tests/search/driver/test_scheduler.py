"""The searcher that Tune asks: what the disk does not take ends the search and changes nothing."""

from __future__ import annotations

import errno
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.search import Searcher

import search.ledger.meter
from search.driver.callbacks import Bookkeeping, Hooks
from search.driver.harmless import Harmless
from search.driver.interruption import Interruption
from search.driver.searcher import LedgerSearcher
from search.ledger.ledger import Ledger
from search.ledger.meter import read_spent
from search.trials.record import Record
from search.trials.study_folder import StudyFolder
from search.worker.end_request import EndRequest
from spaces import parse_study
from tests.search.small_disk import broken_appends


class NoFaults:
    """Of workers that do not die."""

    def end(self, trial: str) -> None: ...


def opened(path: Path) -> Ledger:
    tables = {
        "space": {"epochs": 9, "warmup": {"low": 0.0, "high": 0.5}},
        "search": {"sampler": "random", "scheduler": "promotion", "trials": 3},
        "resources": {"concurrent": 1},
    }
    study = parse_study(tables, "s", "s")
    folder = StudyFolder(path)
    folder.open(study)
    return Ledger(study, folder)


def searcher_of(ledger: Ledger, ended: list[Record]) -> tuple[LedgerSearcher, Interruption]:
    interruption = Interruption(EndRequest(ledger.folder.end_request), print)
    faults: Any = NoFaults()
    return LedgerSearcher(ledger, ended.append, faults, interruption), interruption


def train(ledger: Ledger, trial: str, until: int, score: float) -> None:
    ledger.start(trial)
    for epoch in range(int(ledger.records[trial].epoch) + 1, until + 1):
        if not ledger.report(trial, epoch, score):
            return


def test_a_disk_that_fails_in_a_promotion_stops_no_paused_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, ended = opened(tmp_path), list[Record]()
    searcher, interruption = searcher_of(ledger, ended)
    for number, score in enumerate((0.5, 0.7, 0.6)):
        given = searcher.suggest(f"tune {number}")
        assert isinstance(given, dict)
        train(ledger, given["id"], 1, score)
        searcher.on_trial_complete(f"tune {number}", {})
    assert [r.state for r in ledger.records.values()] == ["paused"] * 3

    with broken_appends(monkeypatch, errno.ENOSPC):
        assert searcher.suggest("tune 3") == Searcher.FINISHED  # not a promotion of 0001
    assert interruption.broken is not None
    assert interruption.broken.errno == errno.ENOSPC
    assert searcher.suggest("tune 4") == Searcher.FINISHED
    assert [r.state for r in ledger.records.values()] == ["paused"] * 3
    assert {r.state for r in ended} == {"paused"}

    again = opened(tmp_path)
    assert [r.state for r in again.records.values()] == ["paused"] * 3
    promoted = again.next()
    assert promoted is not None
    assert promoted.id == "0001"


def test_a_study_at_its_end_stops_the_paused_ones(tmp_path: Path) -> None:
    ledger, ended = opened(tmp_path), list[Record]()
    searcher, _ = searcher_of(ledger, ended)
    number = 0
    while isinstance(given := searcher.suggest(f"tune {number}"), dict):
        train(ledger, given["id"], 9, 0.1 * int(given["id"]))
        searcher.on_trial_complete(f"tune {number}", {})
        number += 1
    assert given == Searcher.FINISHED
    states = [r.state for r in ledger.records.values()]
    assert states == ["stopped", "stopped", "completed"]
    assert [r.id for r in ended][-2:] == ["0000", "0001"]  # when nothing else was left


def test_a_disk_that_fails_while_a_trial_runs_hands_out_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = opened(tmp_path)
    searcher, interruption = searcher_of(ledger, [])
    searcher._concurrent = 2
    assert isinstance(searcher.suggest("tune 0"), dict)
    with broken_appends(monkeypatch, errno.EIO):
        assert searcher.suggest("tune 1") == Searcher.FINISHED
    assert interruption.is_ending
    assert len(opened(tmp_path).records) == 1


def test_who_runs_and_what_is_spent_is_told_without_any_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = opened(tmp_path)
    trial = ledger.next()
    assert trial is not None
    hooks = Hooks({"The bookkeeping": Bookkeeping(ledger)}, Harmless())
    hooks.on_trial_start(iteration=1, trials=[], trial=SimpleNamespace(config={"id": trial.id}))
    assert trial.state == "running"
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 3600)
    monkeypatch.setattr(search.ledger.meter, "time", clock)
    hooks.on_step_end(iteration=1, trials=[])
    assert read_spent(ledger.folder.spent).seconds == pytest.approx(3600, abs=60)
