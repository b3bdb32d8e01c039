"""A study's journal in optuna-dashboard: a real server, asked by HTTP on loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.ledger.ledger import Ledger
from search.trials.journal_file import open_journal
from search.trials.study_folder import StudyFolder
from spaces import parse_study

pytestmark = pytest.mark.slow

SECONDS = 60


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A trial of each state; under promotion, with steps of a quarter of an epoch."""
    study = parse_study(
        {
            "space": {"epochs": 2, "pooling": ["mean", "cls", "max"], "warmup": "free"},
            "search": {"scheduler": "promotion", "grace_epochs": 0.75, "trials": 6},
        },
        "mine",
        "mine",
    )
    folder = StudyFolder(tmp_path / "run")
    folder.open(study)
    ledger = Ledger(study, folder)
    started = [ledger.next() for _ in range(5)]
    completed, paused, failed, stopped, _ = (record.id for record in started if record)
    for trial, value in ((paused, 0.2), (stopped, 0.1), (completed, 0.3)):
        ledger.report(trial, 0.75, value)
    for epoch, value in ((1, 0.6), (2, 0.5)):
        ledger.report(completed, epoch, value)
    ledger.end(completed)
    ledger.end(stopped)
    (record,) = ledger.close()
    assert record.id == stopped
    ledger.end(failed, "epoch 1: the training loss of sst is nan")
    ledger.end(paused)
    return ledger


EXPECTED = [
    ("Complete", 0.5, {3: 0.3, 4: 0.6, 8: 0.5}, {}),
    ("Running", None, {3: 0.2}, {"paused": 0.75}),
    ("Fail", None, {}, {"failure": "epoch 1: the training loss of sst is nan"}),
    ("Pruned", None, {3: 0.1}, {"paused": 0.75}),
    ("Running", None, {}, {}),
]


def test_optuna_opens_the_journal(ledger: Ledger) -> None:
    study = optuna.load_study(study_name="mine", storage=open_journal(ledger.folder.journal))
    assert [
        (t.state.name.capitalize(), t.value, t.intermediate_values, t.user_attrs)
        for t in study.trials
    ] == EXPECTED
    assert study.best_trial.number == 0


@pytest.fixture
def ask(ledger: Ledger) -> Iterator[Callable[[str], Any]]:
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    start = "from optuna_dashboard._cli import main; main()"
    options = ["--host", "127.0.0.1", "--port", port, "--server", "wsgiref", "--quiet"]
    server = subprocess.Popen(
        [sys.executable, "-c", start, ledger.folder.journal, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )

    def answer(path: str) -> Any:
        deadline = time.monotonic() + SECONDS
        while True:
            with (
                suppress(ConnectionError, urllib.error.URLError),
                urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}") as reply,
            ):
                return json.load(reply)
            assert time.monotonic() < deadline
            assert server.poll() is None, server.communicate()
            time.sleep(0.1)

    try:
        yield answer
    finally:
        server.kill()
        server.communicate()


def test_the_dashboard_shows_the_trials_by_state(ask: Callable[[str], Any]) -> None:
    (study,) = ask("api/studies")["study_summaries"]
    assert study["study_name"] == "mine"
    trials = ask(f"api/studies/{study['study_id']}")["trials"]
    assert [
        (
            trial["state"],
            trial["values"][0] if trial.get("values") else None,
            {v["step"]: v["value"] for v in trial["intermediate_values"]},
            {a["key"]: a["value"] for a in trial["user_attrs"]},
        )
        for trial in trials
    ] == [(*told, {key: str(value) for key, value in about.items()}) for *told, about in EXPECTED]
    assert {p["name"] for p in trials[0]["params"]} == {"pooling", "warmup"}
