"""What a user sees while a search runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

import search.driver.live_view
from search.driver.live_view import LiveView, Progress, duration, short
from search.ledger.ledger import Ledger
from search.trials.record import Record
from search.trials.study_folder import StudyFolder
from spaces import parse_study

SPACE = {
    "epochs": 4,
    "pooling": ["mean", "cls", "max"],
    "jaccard": [True, False],
    "pair_features": ["absolute difference", "difference"],
    "loss_weighting": "tuned",
    "loss_weights": "free",
    "encoder_learning_rate": {"low": 1e-5, "high": 1e-3},
}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(search.driver.live_view, "time", clock)
    return clock


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """12 trials: one complete, one stopped, one failed, one running, the others to come."""
    study = parse_study(
        {"space": SPACE, "search": {"trials": 12, "sampler": "random"}}, "my-study", "my-study"
    )
    folder = StudyFolder(tmp_path / "study")
    folder.open(study)
    ledger = Ledger(study, folder)
    for scores, failure in (
        ({1: 0.5, 2: 0.6, 3: 0.7, 4: 0.612}, None),
        ({1: 0.1}, None),
        ({1: 0.9}, "epoch 2: the training loss of sst is nan"),
    ):
        end(ledger, scores, failure)
    running = begin(ledger)
    trial = folder.trial(running.id)
    trial.start(study.space.config(running.values))
    trial.record(1, {"score/mean": 0.55, "seconds": 10.0, "examples_per_second": 2000.0})
    ledger.report(running.id, 1, 0.55)
    return ledger


def begin(ledger: Ledger) -> Record:
    trial = ledger.next()
    assert trial is not None
    ledger.start(trial.id)
    return trial


def end(ledger: Ledger, scores: Mapping[int, float], failure: str | None) -> None:
    trial = begin(ledger)
    for epoch, score in scores.items():
        ledger.report(trial.id, epoch, score)
    ledger.end(trial.id, failure)


def test_the_summary_says_states_epochs_best_and_time(ledger: Ledger) -> None:
    summary = Progress(ledger).summary()
    assert summary.startswith(
        "3/12 trials (1 running, 1 completed, 1 stopped, 1 failed); 7 of 48 epochs; "
        "best 0.612 (trial 0000, epoch 4); about "
    )
    assert summary.endswith(" left")


def test_the_summary_of_a_study_that_begins(tmp_path: Path) -> None:
    study = parse_study({"space": SPACE, "search": {"trials": 12}}, "s", "s")
    folder = StudyFolder(tmp_path / "study")
    folder.open(study)
    assert Progress(Ledger(study, folder)).summary() == "0/12 trials (starting); 0 of 48 epochs"


def test_parts_of_epochs_are_told_as_such(tmp_path: Path) -> None:
    tables = {"space": SPACE, "search": {"trials": 2, "grace_epochs": 0.1}}
    study = parse_study(tables, "s", "s")
    folder = StudyFolder(tmp_path / "study")
    folder.open(study)
    ledger = Ledger(study, folder)
    end(ledger, {0.1: 0.5, 0.3: 0.4}, "its worker ended")
    ledger.report(begin(ledger).id, 0.1, 0.6)
    summary = Progress(ledger).summary()
    assert "; 0.4 of 8 epochs; best 0.600 (trial 0001, epoch 0.1)" in summary
    text = " ".join(shown_on_a_terminal(LiveView(ledger), 80))
    assert re.search(r"0001 +best +0\.1/4 +0.600 ", text)
    assert "0.4 epochs; 8 without stopping" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h"), (1e6, "277.8 h")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "jaccard"),
        (False, "!jaccard"),
        ("absolute difference", "absolute-difference"),
        (12, "12"),
        (0.00012345, "0.000123"),
        ((0.5, 0.25, 0.25), "0.50/0.25/0.25"),
    ],
)
def test_short_values(value: Any, text: str) -> None:
    assert short("jaccard", value) == text


def shown_on_a_terminal(view: LiveView, width: int) -> list[str]:
    """The lines of one drawing, without the terminal's codes."""
    file = StringIO()
    Console(file=file, force_terminal=True, width=width).print(view._draw())
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue()).splitlines()


@pytest.mark.parametrize("width", [80, 50])
def test_a_terminal_shows_states_best_and_epochs_within_its_width(
    ledger: Ledger, width: int
) -> None:
    for _ in range(7):  # more trials than rows; two of them are still among the best
        end(ledger, {1: 0.2}, None)
    lines = shown_on_a_terminal(LiveView(ledger), width)
    assert all(cell_len(line) <= width for line in lines)
    assert sum(bool(re.match(r"0\d{3} ", line)) for line in lines) == 8
    text = " ".join(" ".join(lines).split())
    assert "my-study 8/12 trials 3 running 1 completed 6 stopped 1 failed" in text
    assert re.search(r"0000 +best +4/4 +0.612 ", text)
    assert re.search(r"0003 +running +1/4 +0.550 ", text)
    assert re.search(r"00\d\d +stopped +1/4 ", text)
    assert "14 epochs; 48 without stopping" in text


def test_a_terminal_shows_a_study_that_begins(tmp_path: Path) -> None:
    study = parse_study({"space": SPACE, "search": {"trials": 12}}, "s", "s")
    folder = StudyFolder(tmp_path / "study")
    folder.open(study)
    text = " ".join(shown_on_a_terminal(LiveView(Ledger(study, folder)), 80))
    assert "0/12 trials" in text
    assert "measuring" in text


def test_the_live_view_redraws_and_leaves_the_terminal_as_it_was(
    ledger: Ledger, clock: Clock
) -> None:
    view, file = LiveView(ledger), StringIO()
    view._console = Console(file=file, force_terminal=True, width=80)
    view.start()
    try:
        end(ledger, {1: 0.2}, None)
        clock.now += 1
        view.on_step_end(1, [])
    finally:
        view.stop()
    view.stop()  # again does nothing
    shown = file.getvalue()
    assert "4/12" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is back


def test_without_a_terminal_a_line_now_and_then(
    ledger: Ledger, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    view = LiveView(ledger)
    view.start()
    counts = []
    for seconds in (0, 10, 29, 31, 32, 60, 62):
        clock.now = 1000.0 + seconds
        view.on_step_end(1, [])
        captured = capsys.readouterr()
        assert captured.out == ""
        counts.append(len(captured.err.splitlines()))
    view.stop()
    assert counts == [1, 0, 0, 1, 0, 0, 1]


def test_quiet_is_quiet(ledger: Ledger, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    view = LiveView(ledger, quiet=True)
    view._console = Console(stderr=True, force_terminal=True)
    view.start()
    clock.now += 100
    view.on_step_end(1, [])
    view.stop()
    assert capsys.readouterr() == ("", "")


def test_the_view_only_looks(ledger: Ledger, clock: Clock) -> None:
    """What runs and what is spent is told by others, and no view changes it."""
    waiting = ledger.next()
    assert waiting is not None
    before = ledger.folder.journal.read_bytes(), ledger.tally.counts
    view = LiveView(ledger)
    view._console = Console(file=StringIO(), force_terminal=True, width=80)
    view.start()
    for _ in range(3):
        clock.now += 100
        view.on_trial_start(1, [], SimpleNamespace(config={"id": waiting.id}))
        view.on_step_end(1, [])
    view.stop()
    assert waiting.state == "waiting"
    assert (ledger.folder.journal.read_bytes(), ledger.tally.counts) == before
    assert not ledger.folder.spent.exists()
