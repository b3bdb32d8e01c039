"""A node that is lost, and one whose memory is full."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from search.trials.study_folder import StudyFolder
from spaces import load_study
from tests.search.command import SECONDS, Home, starts

pytestmark = pytest.mark.slow

MakeHome = Callable[..., Home]


@pytest.fixture
def make_home(tiny_tables: Callable[..., dict[str, dict[str, Any]]]) -> Iterator[MakeHome]:
    with tempfile.TemporaryDirectory(prefix="ablatune-") as name:
        path = Path(name).resolve()
        file = path / "study.toml"

        def make(**changes: dict[str, Any]) -> Home:
            file.write_text(tomli_w.dumps(tiny_tables(**changes)))
            return Home(path, file, StudyFolder(path / "run"), load_study(file))

        home = Home(path, file, StudyFolder(path / "run"), load_study("quickstart"))
        try:
            yield make
        finally:
            home.end()


def told_by(scenario: str, home: Home) -> list[str]:
    """Run a scenario; the lines on standard error, all of which are ours and in the log."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.search.fault_scripts", scenario),
            *(str(home.file), str(home.folder.path)),
        ],
        cwd=home.path,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "RAY_TMPDIR": str(home.path),
            "RAY_AUTH_MODE": "disabled",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    told = done.stderr.splitlines()
    log = home.folder.log.read_text()
    assert all(line in log for line in told), told
    return told


def test_a_trial_goes_on_on_another_node_when_its_own_is_lost(make_home: MakeHome) -> None:
    home = make_home(
        space={"epochs": 5, "samples_per_epoch": 256, "batch_size": 4},
        search={"trials": 1},
        resources={"precision": "auto"},  # which asks the node that the trial will run on
    )
    told = told_by("lost_node", home)
    assert re.search(r"precision: (fp32|bf16) is the faster", home.folder.log.read_text())
    assert any(
        re.match(r"Node [\d.]+ was lost; its trials go on on the \d node", t) for t in told
    ), told
    assert any(re.match(r"Node [\d.]+ has joined", t) for t in told), told
    (trial,) = [line for line in told if line.startswith("Trial")]
    assert "it goes on from its checkpoint at or after epoch" in trial
    (record,) = home.records
    assert record.state == "completed"
    assert home.epochs("0000") == [1, 2, 3, 4, 5]
    first, second = starts(home, "0000")
    assert first == (0, 0)
    assert second[0] >= 1


def test_a_trial_that_fills_the_node_s_memory_fails_and_the_search_goes_on(
    make_home: MakeHome,
) -> None:
    home = make_home(
        space={"jaccard": [True, False], "epochs": 2},
        search={"sampler": "grid", "scheduler": "none"},
        resources={"concurrent": 1},
    )
    told = told_by("out_of_memory", home)
    first, second = home.records
    assert first.failure == (
        "its node ran out of memory, and its worker process was ended, 3 times in a row"
    )
    assert (first.state, second.state) == ("failed", "completed")
    assert len(told) == 3
    assert all("ran out of memory" in line for line in told)
    assert len(list((home.path / "places").iterdir())) == 3
