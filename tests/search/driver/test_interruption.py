"""A search that is interrupted, or killed, goes on as if it had not been."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from model import load_last
from search.trials.study_folder import StudyFolder
from spaces import load_study
from tests.search.command import SECONDS, Home, search, starts, wait_for

pytestmark = pytest.mark.slow

EPOCHS, TRIALS = 6, 4
UPDATES = 64  # of an epoch


@pytest.fixture
def home(
    tiny_tables: Callable[..., dict[str, dict[str, Any]]], request: pytest.FixtureRequest
) -> Iterator[Home]:
    """A search of two trials side by side, or, asked for by parameter, of one in two processes."""
    processes = getattr(request, "param", 1)
    # Not tmp_path: the names of Ray's sockets below it would be too long.
    with tempfile.TemporaryDirectory(prefix="ablatune-") as name:
        path = Path(name).resolve()
        tables = tiny_tables(
            space={
                "epochs": EPOCHS,
                "samples_per_epoch": 256,
                "batch_size": 4,
                "pooling": ["mean", "cls", "max"],
                "encoder_learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
            },
            search={"trials": TRIALS, "scheduler": "none", "sampler": "random"},
            resources={"concurrent": 2 // processes, "processes": processes},
        )
        file = path / "study.toml"
        file.write_text(tomli_w.dumps(tables))
        home = Home(path, file, StudyFolder(path / "run"), load_study(file))
        try:
            yield home
        finally:
            home.end()


def some_are_under_way(home: Home, ended: int) -> bool:
    """Whether trials have ended, and another has measured some epochs but not all."""
    records = home.records
    return sum(r.ended is not None for r in records) >= ended and any(
        r.ended is None and 2 <= r.epoch < EPOCHS - 1 for r in records
    )


def no_worker_is_left(home: Home) -> bool:
    """Two agents of Ray take up to a minute to see that the process they serve was killed."""
    agents = {"ray::DashboardA", "ray::RuntimeEnv"}
    return not home.folder.in_use() and all(name in agents for name in home.processes().values())


def signal_everyone(home: Home, search: subprocess.Popen[str], number: signal.Signals) -> None:
    """As whoever ends a search from outside: `timeout` signals it and then its whole group, and a
    service manager each of its processes, Ray's and the workers among them."""
    search.send_signal(number)
    os.killpg(search.pid, number)
    for process in home.processes():
        with suppress(ProcessLookupError):
            os.kill(process, number)


def assert_whole(home: Home) -> None:
    """The asked number of trials, each with every epoch once, in its folder and the journal."""
    records = home.records
    assert [record.id for record in records] == [f"{number:04d}" for number in range(TRIALS)]
    assert {record.state for record in records} == {"completed"}
    for record in records:
        assert list(record.scores) == list(range(1, EPOCHS + 1))
        rows = home.folder.trial(record.id).read()
        assert {row["epoch"]: row["score/mean"] for row in rows} == record.scores
        assert [row["epoch"] for row in rows] == list(range(1, EPOCHS + 1))


def trained_epochs(home: Home, trial: str) -> list[int]:
    """The epochs that a trial reported, as its log tells them, in the order of time."""
    log = home.folder.trial(trial).log.read_text()
    return [int(number) for number in re.findall(r"INFO epoch (\d+):", log)]


def assert_went_on(home: Home, before: dict[str, list[int]], searches: int) -> None:
    """Trials that were under way were not trained from the start again: the only epoch that is
    reported once more is the last one before an interruption."""
    assert any(len(epochs) >= 2 for epochs in before.values())
    for trial, epochs in before.items():
        reported = trained_epochs(home, trial)
        assert reported == sorted(reported), (trial, reported)
        assert len(reported) <= EPOCHS + searches - 1, (trial, reported)
        assert reported.count(1) == 1 or len(epochs) <= 1, (trial, reported)


def status(home: Home) -> dict[str, Any]:
    """What another shell is told while a search runs."""
    asked = subprocess.run(
        [sys.executable, "-m", "search.cli", "status", str(home.folder.path), "--json"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    assert asked.stderr == ""
    state: dict[str, Any] = json.loads(asked.stdout)
    return state


@pytest.mark.parametrize(
    ("home", "number"),
    [(1, signal.SIGINT), pytest.param(2, signal.SIGHUP, marks=pytest.mark.soak)],
    indirect=["home"],
    ids=["1 process", "2 processes"],
)
def test_ctrl_c_or_a_closed_terminal_is_one_sentence_and_the_same_command_goes_on(
    home: Home, number: signal.Signals
) -> None:
    with search(home) as process:
        wait_for(lambda: some_are_under_way(home, ended=1), process)
        signal_everyone(home, process, number)
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, err
    assert out == ""
    told, sentence = err.splitlines()[:-1], err.splitlines()[-1]
    assert sentence.startswith("Interrupted.")
    assert str(home.folder.path) in sentence
    expected = r"Reading the data|\d+/\d+ trials|Interrupted: \d running trial.*Ctrl-C again"
    assert all(re.match(expected, line) for line in told), err
    wait_for(lambda: not home.processes() and not home.folder.in_use())
    assert not home.folder.end_request.exists()

    left = {r.id: list(r.scores.items()) for r in home.records}
    under_way = {r.id: home.epochs(r.id) for r in home.records if r.ended is None}
    saved = {trial: load_last(home.folder.trial(trial).checkpoint) for trial in under_way}
    where = {trial: (state["epoch"], state["updates"]) for trial, state in saved.items() if state}
    assert where  # inside an epoch or, of those that were being evaluated, after it
    assert all(updates >= UPDATES * epoch for epoch, updates in where.values())

    with search(home, "--json") as process:
        wait_for(lambda: home.folder.in_use(), process)
        state = status(home)
        out, err = process.communicate(timeout=SECONDS)
    assert state["running"] is True
    assert state["epochs"] >= sum(map(len, left.values()))
    assert process.returncode == 0, err
    assert err == ""
    assert json.loads(out)["states"] == {"completed": TRIALS}
    assert_whole(home)
    for record in home.records:  # what was measured stands
        measured = left.get(record.id, [])
        assert list(record.scores.items())[: len(measured)] == measured
    assert_went_on(home, under_way, searches=2)
    assert all(starts(home, trial)[-1] == place for trial, place in where.items())
    wait_for(lambda: not home.processes())


def test_sigterm_while_ray_starts_leaves_no_process_and_no_riddle(home: Home) -> None:
    with search(home) as process:
        wait_for(lambda: "raylet" in home.processes().values(), process)
        signal_everyone(home, process, signal.SIGTERM)
        _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, err
    assert err.splitlines()[-1].startswith("Interrupted.")
    assert "Traceback" not in err
    wait_for(lambda: not home.processes() and not home.folder.in_use())
    assert not home.folder.end_request.exists()


def press_ctrl_c_until_it_ends(process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.3)
    _, err = process.communicate(timeout=1)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("Interrupted.")


def test_two_ctrl_cs_end_a_search_at_once_and_its_trials_can_go_on(home: Home) -> None:
    with search(home) as process:
        wait_for(lambda: some_are_under_way(home, ended=0), process)
        press_ctrl_c_until_it_ends(process)
    wait_for(lambda: no_worker_is_left(home))
    under_way = [record for record in home.records if record.ended is None]
    assert any(len(record.scores) >= 2 for record in under_way)
    for record in under_way:
        assert home.epochs(record.id)[: len(record.scores)] == list(record.scores)
        state = load_last(home.folder.trial(record.id).checkpoint)
        assert (state["epoch"] if state else 0) >= record.epoch


@pytest.mark.soak
def test_a_search_that_was_killed_goes_on_and_so_it_does_after_two_ctrl_cs(home: Home) -> None:
    with search(home) as process:
        wait_for(lambda: some_are_under_way(home, ended=1), process)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=SECONDS)
    wait_for(lambda: no_worker_is_left(home))  # they write until they see that it is gone
    killed = {r.id: home.epochs(r.id) for r in home.records if r.ended is None}
    assert killed

    def further() -> bool:
        return any(len(home.epochs(trial)) > len(epochs) for trial, epochs in killed.items())

    with search(home) as process:
        wait_for(further, process)
        press_ctrl_c_until_it_ends(process)
    interrupted = {r.id: home.epochs(r.id) for r in home.records if r.ended is None}
    wait_for(lambda: no_worker_is_left(home))

    before = {r.id: home.epochs(r.id) for r in home.records}

    def some_have_far_to_go() -> bool:
        return any(
            r.epoch < EPOCHS - 1 and home.epochs(r.id) != before.get(r.id) for r in home.records
        )

    with search(home) as process:
        wait_for(some_have_far_to_go, process)
        signal_everyone(home, process, signal.SIGTERM)
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, err
    assert "save themselves" in err
    assert err.splitlines()[-1].startswith("Interrupted.")
    wait_for(lambda: not home.processes())
    assert not home.folder.end_request.exists()

    with search(home, "--quiet") as process:
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    assert err == ""
    assert "Best: trial" in out
    assert_whole(home)
    assert_went_on(home, killed | interrupted, searches=4)
    wait_for(lambda: not home.processes())
