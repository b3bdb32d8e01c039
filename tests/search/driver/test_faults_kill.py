"""The driver is killed at any moment of its life, again and again, and nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from search.driver.run import run
from search.ledger.ledger import Ledger
from search.trials.study_folder import StudyFolder
from spaces import load_study
from tests.search.command import SECONDS, Home, search, starts, wait_for

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("ABLATUNE_TEST_KILLS", "20"))


@dataclass(frozen=True)
class Known:
    """What a study's folder tells of a trial."""

    state: str
    scores: dict[float, float]
    measured: dict[float, float]
    starts: int

    def stands_in(self, later: Known) -> bool:
        """Whether nothing of it has changed, only something come to it."""
        ended = self.state in ("completed", "stopped", "failed")
        return (
            (later.state == self.state if ended else True)
            and self.scores.items() <= later.scores.items()
            and self.measured.items() <= later.measured.items()
        )


def known(home: Home) -> dict[str, Known]:
    told = {}
    for record in home.records:
        rows = home.folder.trial(record.id).read()
        epochs = [row["epoch"] for row in rows]
        assert epochs == sorted(set(epochs)), (record.id, epochs)
        measured = {row["epoch"]: row["score/mean"] for row in rows}
        told[record.id] = Known(
            record.state, dict(record.scores), measured, len(starts(home, record.id))
        )
    return told


@contextmanager
def home_of(tables: dict[str, Any]) -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="ablatune-") as name:
        path = Path(name).resolve()
        file = path / "study.toml"
        file.write_text(tomli_w.dumps(tables))
        home = Home(path, file, StudyFolder(path / "run"), load_study(file))
        try:
            yield home
        finally:
            home.end()


@pytest.fixture(scope="module")
def tables(tiny_tables: Callable[..., dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    return tiny_tables(
        space={
            "epochs": 4,
            "samples_per_epoch": 128,
            "batch_size": 4,
            "pooling": ["mean", "cls", "max"],
            "jaccard": [True, False],
            "encoder_learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
        },
        search={"trials": 6, "grace_epochs": 0.5, "reduction_factor": 2},
        resources={"concurrent": 1},
    )


def outcome(home: Home) -> Any:
    """All that a finished study has found, and what its rungs hold."""
    ledger = Ledger(home.study, home.folder)
    trials = [(r.id, dict(r.values), r.state, r.scores) for r in ledger.records.values()]
    return trials, ledger.rungs.values


@pytest.mark.usefixtures("cluster")
def test_a_driver_that_is_killed_twice_loses_nothing(tables: dict[str, Any]) -> None:
    """In the middle of a trial after others have paused, and again in what goes on."""
    tables = tables | {"search": tables["search"] | {"scheduler": "promotion"}}
    with home_of(tables) as home:
        run(home.study, home.folder, quiet=True)
        expected = outcome(home)
        assert {state for _, _, state, _ in expected[0]} == {"completed", "stopped"}

    with home_of(tables) as home:
        before: dict[str, Known] = {}
        for reached in (3, 6):
            with search(home, "--quiet") as process:
                wait_for(partial(trials_have_measured, home, reached), process)
                process.send_signal(signal.SIGKILL)
                now = known(home)
                _, err = process.communicate()
            assert "Traceback" not in err
            assert_stands(home, before, now)
            before = now
        with search(home, "--quiet") as process:
            _, err = process.communicate(timeout=SECONDS)
        assert (process.returncode, err) == (0, "")
        assert_stands(home, before, known(home))
        assert outcome(home) == expected


def trials_have_measured(home: Home, times: int) -> bool:
    """Whether all trials together have so many scores."""
    return sum(len(record.scores) for record in home.records) >= times


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("scheduler", "share"), [("asha", 0.7), ("promotion", 0.3)])
def test_a_driver_killed_at_twenty_moments_loses_nothing(
    scheduler: str, share: float, tables: dict[str, Any]
) -> None:
    """Moments from a seeded generator over the whole life of a search, its start included; each
    study is searched until it is finished, and equals one that was never killed."""
    tables = tables | {"search": tables["search"] | {"scheduler": scheduler}}
    wanted = max(1, round(KILLS * share))
    with home_of(tables) as home:
        began = time.monotonic()
        with search(home, "--quiet") as process:
            _, err = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, err
        life = time.monotonic() - began
        expected = outcome(home)
        assert {state for _, _, state, _ in expected[0]} == {"completed", "stopped"}

    moments = random.Random(5)
    kills = 0
    while kills < wanted:
        with home_of(tables) as home:
            before: dict[str, Known] = {}
            while True:
                kill_after = moments.uniform(0, 1.1 * life) if kills < wanted else SECONDS
                with search(home, "--quiet") as process:
                    try:
                        _, err = process.communicate(timeout=kill_after)
                    except subprocess.TimeoutExpired:
                        process.send_signal(signal.SIGKILL)
                        kills += 1
                    else:
                        assert process.returncode == 0, err
                        break
                    now = known(home)
                    _, err = process.communicate()
                assert "Traceback" not in err
                assert_stands(home, before, now)
                before = now
            assert_stands(home, before, known(home))
            assert outcome(home) == expected


def assert_stands(home: Home, before: dict[str, Known], now: dict[str, Known]) -> None:
    """Nothing that was reported has changed, and no trial trained what it had reported."""
    assert list(now) == [f"{number:04d}" for number in range(len(now))]
    assert before.keys() <= now.keys()
    for trial, told in before.items():
        assert told.stands_in(now[trial]), (trial, told, now[trial])
        last = max(told.measured, default=0)
        # A worker may have outlived the driver for a moment, and told more without a new start.
        for epoch, _ in starts(home, trial)[told.starts :]:
            assert epoch >= last, (trial, epoch, told)
    for trial in now:
        epochs = [epoch for epoch, _ in starts(home, trial)]
        assert epochs == sorted(epochs), (trial, epochs)
