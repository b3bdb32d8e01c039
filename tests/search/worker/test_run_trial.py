"""Workers run trial after trial, one on each core, and none leaves anything behind in them."""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from model import Metrics, Save, train
from search.driver.run import run
from search.trials.study_folder import StudyFolder
from spaces import StudyFile

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]

TRIALS, WARM = 24, 6


def marked_train(config: Any, tasks: Any, *given: Any, marks: Path, **more: Any) -> None:
    """A training that leaves a mark before it begins; every third one fails in its report."""
    *shared, report = given
    mark = {
        "process": os.getpid(),
        "files": sorted(_target(link) for link in Path("/proc/self/fd").iterdir()),
        "modules": sum(issubclass(type(thing), nn.Module) for thing in gc.get_objects()),
        "threads": torch.get_num_threads(),
        "waiting": os.environ["OMP_WAIT_POLICY"],
    }
    with marks.open("a") as file:
        file.write(json.dumps(mark) + "\n")
    number = len(marks.read_text().splitlines())

    def failing_report(epoch: float, metrics: Metrics, save: Save) -> bool:
        if number % 3 == 0:
            raise RuntimeError("on purpose")
        return bool(report(epoch, metrics, save))

    train(config, tasks, *shared, failing_report, **more)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # the listing's own
        return ""


@pytest.fixture(scope="module")
def marks(
    tiny_study: Callable[..., StudyFile], tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """What the worker held at the start of each trial."""
    study = tiny_study(
        space={
            "head_learning_rate": {"low": 1e-4, "high": 1e-3},
            "epochs": 1,
            "samples_per_epoch": 8,
        },
        search={"trials": TRIALS, "sampler": "random", "scheduler": "none", "keep": 1},
        resources={"concurrent": 1},
    )
    folder = StudyFolder(tmp_path_factory.mktemp("runs") / "study")
    file = tmp_path_factory.mktemp("marks") / "marks.jsonl"
    training = partial(marked_train, marks=file)
    ledger = run(study, folder, quiet=True, training=training)
    states = [record.state for record in ledger.records.values()]
    assert states.count("failed") == TRIALS // 3
    assert states.count("completed") == TRIALS - TRIALS // 3
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_all_trials_run_in_one_process(marks: list[dict[str, Any]]) -> None:
    assert len(marks) == TRIALS
    assert len({mark["process"] for mark in marks}) == 1


def test_no_part_of_a_network_outlives_its_trial(marks: list[dict[str, Any]]) -> None:
    assert [mark["modules"] for mark in marks] == [0] * TRIALS


def test_no_file_stays_open(marks: list[dict[str, Any]]) -> None:
    assert len(marks[-1]["files"]) <= len(marks[WARM]["files"]), set(marks[-1]["files"]) - set(
        marks[WARM]["files"]
    )


def test_a_trial_has_its_own_thread_that_does_not_spin(marks: list[dict[str, Any]]) -> None:
    assert {mark["threads"] for mark in marks} == {1}
    assert {mark["waiting"] for mark in marks} == {"PASSIVE"}


def meeting_train(*given: Any, place: Path, **more: Any) -> None:
    """In place of a training: wait for a second trial; the score is how many ran at the start."""
    report = given[-1]
    started, ended = place / "started", place / "ended"
    name = str(time.monotonic_ns())
    (started / name).touch()
    running = len(list(started.iterdir())) - len(list(ended.iterdir()))
    deadline = time.monotonic() + 60
    while len(list(started.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    (ended / name).touch()
    report(1, {"score/mean": running}, lambda folder: None)


def test_as_many_trials_run_side_by_side_as_there_are_cores(
    tiny_study: Callable[..., StudyFile], tmp_path: Path
) -> None:
    study = tiny_study(
        space={"jaccard": [True, False], "dropout": [0.0, 0.1], "epochs": 1},
        search={"sampler": "grid", "scheduler": "none"},
    )
    folder = StudyFolder(tmp_path / "study")
    for name in ("started", "ended"):
        (tmp_path / name).mkdir()
    training = partial(meeting_train, place=tmp_path)
    ledger = run(study, folder, quiet=True, training=training)
    running = [record.last_score for record in ledger.records.values()]
    assert len(running) == 4
    assert max(running) == 2  # cores of the tests' cluster
