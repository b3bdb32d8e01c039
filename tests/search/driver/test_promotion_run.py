"""Promotion on a real Ray cluster: workers are free while trials pause, and nothing is lost."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model import LAST
from search.driver.run import run
from search.ledger.ledger import Ledger
from search.report.write import write_report
from search.trials.study_folder import StudyFolder
from spaces import StudyFile

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]

SECONDS = 240
EPOCHS = 4
STUDY: dict[str, dict[str, Any]] = {
    "space": {
        "epochs": EPOCHS,
        "pooling": ["mean", "cls", "max"],
        "encoder_learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
    },
    "search": {"trials": 6, "scheduler": "promotion", "reduction_factor": 2, "sampler": "random"},
    "resources": {"concurrent": 1},
}


@pytest.fixture(scope="module")
def whole(tiny_study: Callable[..., StudyFile], tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """A study on one slot that nothing interrupted."""
    folder = StudyFolder(tmp_path_factory.mktemp("runs") / "whole")
    return run(tiny_study(**STUDY), folder, quiet=True)


def reported(folder: StudyFolder, trial: str) -> list[int]:
    """The epochs that a trial reported, in order of time; the first of a stretch of work is the
    last of the one before."""
    log = folder.trial(trial).log.read_text()
    return [int(number) for number in re.findall(r"INFO epoch (\d+):", log)]


def everything(folder: StudyFolder, study: StudyFile) -> Any:
    return [(r.id, dict(r.values), r.state, r.scores) for r in folder.records(study.space)]


def test_trials_pause_and_the_best_go_on_from_where_they_were(whole: Ledger) -> None:
    assert whole.rungs.levels == (1, 2)
    states = [record.state for record in whole.records.values()]
    assert len(states) == 6
    assert {*states} == {"completed", "stopped"}
    ends = {record.epoch for record in whole.records.values()}
    assert {1, EPOCHS} <= ends <= {1, 2, EPOCHS}
    stretches = 0
    for record in whole.records.values():
        rows = whole.folder.trial(record.id).read()
        assert {row["epoch"]: row["score/mean"] for row in rows} == record.scores
        assert [row["epoch"] for row in rows] == list(range(1, int(record.epoch) + 1))
        log = whole.folder.trial(record.id).log.read_text()
        stretches += log.count("INFO worker process")
        assert reported(whole.folder, record.id) == sorted(reported(whole.folder, record.id))
    assert stretches > len(whole.records)  # some went on later, in another stretch
    paused = re.findall(r"trial (\d+): paused at epoch", whole.folder.log.read_text())
    assert len(paused) >= len(whole.records) - 1


def test_what_a_paused_trial_needs_is_kept_only_until_it_is_decided(whole: Ledger) -> None:
    assert not list(whole.folder.trials.rglob(LAST))


def test_a_report_counts_no_paused_or_stopped_trial_among_the_completed(whole: Ledger) -> None:
    page = write_report(whole.folder).read_text()
    completed = sum(record.state == "completed" for record in whole.records.values())
    assert f"<b>{completed}</b><span>completed</span>" in page
    assert "promotion: each pauses, and the best 1 in 2 go on, rungs at 1, 2" in page


def test_an_interrupted_search_pauses_and_promotes_as_it_would_have(
    whole: Ledger, tmp_path: Path
) -> None:
    study, folder = whole.study, StudyFolder(tmp_path / "run")

    def states() -> list[str]:
        there = folder.journal.exists() and folder.trials.exists()
        return [record.state for record in folder.records(study.space)] if there else []

    def interrupt() -> None:
        deadline = time.monotonic() + SECONDS
        while states().count("paused") < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(study, folder, quiet=True)
    thread.join()
    assert "paused" in states()
    assert list(folder.trials.rglob(LAST))  # from which they go on

    run(study, folder, quiet=True)
    assert everything(folder, study) == everything(whole.folder, whole.study)
    assert not list(folder.trials.rglob(LAST))
