"""Workers that are killed, hang, or run out of memory: the trial goes on, or fails with a reason,
and the search goes on in any case."""

from __future__ import annotations

import os
import re
import resource
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from model import LAST, Metrics, Save, train
from search.driver.faults import RESTARTS
from search.driver.run import run
from search.ledger.ledger import Ledger
from search.trials.study_folder import StudyFolder
from spaces import StudyFile

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]

MakeStudy = Callable[..., StudyFile]


def search_with(training: Callable[..., object], study: StudyFile, path: Path) -> Ledger:
    """A search whose trials are trained by `training`."""
    return run(study, StudyFolder(path), quiet=True, training=training)


def of_two(tiny_study: MakeStudy, **resources: Any) -> StudyFile:
    """Two trials, of which only the first meets with a fault."""
    return tiny_study(
        space={"jaccard": [True, False]},
        search={"sampler": "grid", "scheduler": "none"},
        resources={"concurrent": 1, **resources},
    )


def with_fault(
    config: Any, *given: Any, fault: Callable[[], None], places: Path, times: int = 1, **more: Any
) -> None:
    """A training with a fault in its second report, `times` times, in the first trial."""
    *shared, report = given

    def faulty_report(epoch: float, metrics: Metrics, save: Save) -> bool:
        if epoch == 2 and config.jaccard:
            save(more["resume"])
            met = len(list(places.iterdir()))
            if met < times:
                (places / str(met)).touch()
                fault()
        return bool(report(epoch, metrics, save))

    train(config, *shared, faulty_report, **more)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def freeze() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def hang() -> None:
    while True:
        time.sleep(1)


def allocate() -> None:
    """Without bound, as far as this process may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), hard))
    blocks = []
    try:
        while True:
            blocks.append(bytearray(1 << 20))
    finally:
        blocks.clear()
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def lines(capsys: pytest.CaptureFixture[str], ledger: Ledger) -> list[str]:
    """What the user was told on standard error; the study's log has every line of it."""
    captured = capsys.readouterr()
    told = [line for line in captured.err.splitlines() if line.startswith("Trial ")]
    assert "Traceback" not in captured.err + captured.out
    log = ledger.folder.log.read_text()
    assert all(line in log for line in told)
    return told


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (die, "its worker process is gone (killed, crashed or cut off)"),
        (hang, "nothing was heard of it for 11 s, so its worker process was ended"),
        (freeze, "nothing was heard of it for 11 s, so its worker process was ended"),
    ],
)
def test_a_trial_goes_on_whose_worker(
    tiny_study: MakeStudy,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    fault: Callable[[], None],
    what: str,
) -> None:
    (places := tmp_path / "faults").mkdir()
    study = of_two(tiny_study, silence=0.003)
    training = partial(with_fault, fault=fault, places=places)
    ledger = search_with(training, study, tmp_path / "run")
    assert [r.state for r in ledger.records.values()] == ["completed"] * 2
    assert lines(capsys, ledger) == [
        f"Trial 0000: {what}; it goes on from its checkpoint at or after epoch 1 "
        "(restart 1 of at most 2 in a row)."
    ]
    log = ledger.folder.trial("0000").log.read_text()
    assert re.findall(r"training from epoch (\d)", log) == ["0", "2"]
    assert [row["epoch"] for row in ledger.folder.trial("0000").read()] == [1, 2, 3]


def test_what_kills_its_worker_again_and_again_fails_and_the_search_goes_on(
    tiny_study: MakeStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (places := tmp_path / "faults").mkdir()
    training = partial(with_fault, fault=die, places=places, times=99)
    ledger = search_with(training, of_two(tiny_study), tmp_path / "run")
    first, second = ledger.records.values()
    assert (first.state, second.state) == ("failed", "completed")
    assert first.failure == (
        "its worker process is gone (killed, crashed or cut off), 3 times in a row"
    )
    assert first.scores.keys() == {1}  # what it measured stands
    assert len(list(places.iterdir())) == RESTARTS + 1
    told = lines(capsys, ledger)
    assert len(told) == RESTARTS + 1
    assert told[-1] == f"Trial 0000 failed: {first.failure}."


def test_a_trial_that_may_have_no_more_memory_fails_and_says_so(
    tiny_study: MakeStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (places := tmp_path / "faults").mkdir()
    training = partial(with_fault, fault=allocate, places=places)
    ledger = search_with(training, of_two(tiny_study), tmp_path / "run")
    first, second = ledger.records.values()
    assert (first.state, second.state) == ("failed", "completed")
    assert first.failure == "its worker process ran out of memory (MemoryError)"
    assert lines(capsys, ledger) == [f"Trial 0000 failed: {first.failure}."]


def test_a_damaged_checkpoint_costs_one_trial_its_start(
    tiny_study: MakeStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cut short, with what a process left that was killed while it wrote beside it."""
    study = of_two(tiny_study)
    whole = run(study, StudyFolder(tmp_path / "whole"), quiet=True)
    folder = StudyFolder(tmp_path / "run")
    folder.open(study)
    begun = Ledger(study, folder).next()
    assert begun is not None
    assert begun.id == "0000"
    (checkpoint := folder.trial("0000").checkpoint).mkdir(parents=True)
    (checkpoint / LAST).write_bytes(b"PK\x03\x04 the beginning of a checkpoint")
    (checkpoint / f".{LAST}.123").write_bytes(b"half")
    (folder.trial("0000").path / "metrics.unfinished").write_bytes(b"half")
    ledger = run(study, folder, quiet=True)
    assert lines(capsys, ledger) == [
        f"Trial 0000: its checkpoint {checkpoint / LAST} was damaged: it is trained from the start."
    ]
    assert [(r.state, r.scores) for r in ledger.records.values()] == [
        (r.state, r.scores) for r in whole.records.values()
    ]
    assert {file.name for file in checkpoint.iterdir()} == {"best.safetensors"}
    assert not list(folder.path.rglob("*.unfinished"))
