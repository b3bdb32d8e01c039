"""What somebody deletes or locks away while a trial runs does not end the trial."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from model import TrialFolder
from search.driver.study_log import logging_to
from search.trials.study_folder import StudyFolder
from search.worker.end_request import EndRequest, Pulse
from search.worker.lasting_log import LastingLog, show_life


def test_a_log_goes_on_at_its_path(tmp_path: Path) -> None:
    path = tmp_path / "trial" / "log.txt"
    path.parent.mkdir()
    log = LastingLog(path)
    log.lock()
    print("one", file=log)
    path.unlink()
    print("two", file=log)
    assert path.read_text() == "two\n"
    shutil.rmtree(path.parent)
    print("three", file=log)
    print("four", file=log)
    assert path.read_text() == "three\nfour\n"
    with pytest.raises(BlockingIOError):  # It is still this process's.
        LastingLog(path).lock()
    log.close()
    LastingLog(path).lock()


def test_a_log_that_cannot_be_made_again_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trial" / "log.txt"
    path.parent.mkdir()
    log = LastingLog(path)
    shutil.rmtree(path.parent)
    path.parent.write_text("a file where the folder was")
    print("lost", file=log)
    show_life(path)
    path.parent.unlink()
    print("seen", file=log)
    assert path.read_text() == "seen\n"
    log.close()


def test_life_is_shown_in_a_log_that_was_deleted(tmp_path: Path) -> None:
    path = tmp_path / "trial" / "log.txt"
    pulse = Pulse(EndRequest(tmp_path / ".end"), path)
    assert not pulse()
    assert path.exists()
    os.utime(path, (1, 1))
    show_life(path)
    assert path.stat().st_mtime > 1


def test_an_end_is_asked_for_though_the_request_was_deleted(tmp_path: Path) -> None:
    request = EndRequest(tmp_path / ".end")
    with request.possible():
        (tmp_path / ".end").unlink()
        assert not request.is_made
        request.make()
        assert Pulse(request, tmp_path / "log.txt")()
    assert not request.is_made


def test_the_studys_log_goes_on_or_is_silent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = StudyFolder(tmp_path / "study")
    folder.path.mkdir()
    log = logging.getLogger("ablatune")
    with logging_to(folder):
        log.info("one")
        folder.log.unlink()
        log.info("two")
        assert folder.log.read_text().endswith("INFO two\n")
        shutil.rmtree(folder.path)
        log.info("three")
        log.warning("four")
    assert capsys.readouterr().err == ""


def test_a_trials_folder_that_is_gone_is_begun_again(
    tiny_study: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.worker import run_trial as ray_trial
    from search.worker.run_trial import Shared, _Reporter

    study = tiny_study()
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(ray_trial.tune, "report", told.append)
    folder, config = TrialFolder(tmp_path / "trial"), study.space.config()
    folder.start(config)
    metrics = {"score/mean": 0.5}

    def save(checkpoint: Path) -> None:
        checkpoint.mkdir(parents=True, exist_ok=True)

    shared = Shared(study, StudyFolder(tmp_path), None, None)  # type: ignore[arg-type]
    with ExitStack() as stack:
        report = _Reporter(shared, folder, config, stack)
        report(1, metrics, save)
        shutil.rmtree(folder.path)
        report(2, metrics, save)
        folder.metrics.unlink()
        report(3, metrics, save)
    assert [row["epoch"] for row in folder.read()] == [3]
    assert folder.config() == config
    assert len(list(folder.path.glob("events.out.tfevents.*"))) == 1
    assert [one["epoch"] for one in told] == [1, 2, 3]
