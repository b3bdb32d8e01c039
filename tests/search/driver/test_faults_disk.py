"""A disk that is full or cannot be written: one sentence, nothing corrupted, and it goes on."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
import tomli_w
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from model import LAST, TrialFolder, load_last
from model.storage.checkpoint import save_best, save_last
from search.cli import main
from search.ledger.search_journal import SearchJournal
from search.tensorboard.trial_events import TrialEvents
from search.trials.journal_file import mend_journal
from search.trials.study_folder import StudyFolder
from spaces import load_study
from tests.search.command import SECONDS, Home, search, wait_for
from tests.search.small_disk import fill, make_room, read_only, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", megabytes=4) as disk:
        yield disk


def first_refused(write: Callable[[int], object]) -> tuple[int, OSError]:
    """Which of many writes (from 1) finds no room: the end of a file's last page takes some."""
    for number in range(1, 100_000):
        try:
            write(number)
        except OSError as error:
            return number, error
    raise AssertionError("there was room for all")


@pytest.mark.parametrize("save", [save_best, save_last])
def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(
    disk: Path, save: Callable[..., None]
) -> None:
    more: tuple[Any, ...] = ({"epoch": "1"},) if save is save_best else ()
    save(disk / "checkpoint", {"w": torch.zeros(1000)}, *more)
    (file,) = (disk / "checkpoint").iterdir()
    before = file.read_bytes()
    fill(disk)
    with pytest.raises(OSError, match="No space left") as error:
        save(disk / "checkpoint", {"w": torch.ones(2_000_000)}, *more)
    assert error.value.errno == errno.ENOSPC
    assert error.value.filename == str(file)
    assert [file.read_bytes() for file in (disk / "checkpoint").iterdir()] == [before]
    make_room(disk)
    save(disk / "checkpoint", {"w": torch.ones(1000)}, *more)
    assert file.read_bytes() != before


def test_a_journal_line_that_does_not_fit_is_not_there_at_all(disk: Path) -> None:
    file = disk / "journal"
    study = optuna.create_study(storage=SearchJournal(file))
    trial = study.ask()
    fill(disk)
    refused, error = first_refused(lambda step: trial.report(float(step), step))
    assert (error.errno, error.filename) == (errno.ENOSPC, str(file))
    whole = file.read_bytes()
    assert whole.endswith(b"\n")
    make_room(disk)
    mend_journal(file)
    assert file.read_bytes() == whole
    again = optuna.load_study(study_name=study.study_name, storage=SearchJournal(file))
    (stored,) = again.trials
    assert list(stored.intermediate_values) == list(range(1, refused))
    optuna.Trial(again, stored._trial_id).report(0.5, refused)


def test_a_measured_epoch_that_does_not_fit_is_not_there_at_all(disk: Path) -> None:
    folder = TrialFolder(disk / "trial")
    folder.path.mkdir()
    folder.record(0.5, {"score/mean": 0.5})
    fill(disk)
    epoch, error = first_refused(lambda epoch: folder.record(epoch, {"score/mean": 1 / 3}))
    assert (error.errno, error.filename) == (errno.ENOSPC, str(folder.metrics))
    assert folder.metrics.read_bytes().endswith(b"\n")
    make_room(disk)
    folder.record(epoch, {"score/mean": 0.5})
    assert [row["epoch"] for row in folder.read()] == [0.5, *range(1, epoch + 1)]


def test_an_event_that_did_not_fit_is_written_when_the_trial_goes_on(disk: Path) -> None:
    events = TrialEvents(disk / "trial", {"jaccard": True})
    fill(disk)
    epoch, _ = first_refused(lambda epoch: events.epoch(epoch, {"score/mean": 0.5}))
    with suppress(OSError):
        events.close("running")
    make_room(disk)
    again = TrialEvents(disk / "trial", {"jaccard": True}, restored_step=epoch - 1)
    again.epoch(epoch, {"score/mean": 0.75})
    again.close("completed")
    shown = EventAccumulator(str(disk / "trial"), size_guidance={"scalars": 0})
    shown.Reload()
    assert [event.step for event in shown.Scalars("score/mean")] == list(range(1, epoch + 1))


@pytest.mark.parametrize("torn", [b'{"op_code": 4, "wor', b"\x00" * 40])
def test_a_torn_last_line_costs_that_line(tmp_path: Path, torn: bytes) -> None:
    journal = tmp_path / "journal"
    study = optuna.create_study(storage=SearchJournal(journal))
    study.ask().report(0.5, 1)
    with journal.open("ab") as file:
        file.write(torn)
    mend_journal(journal)
    again = optuna.load_study(study_name=study.study_name, storage=SearchJournal(journal))
    assert again.trials[0].intermediate_values == {1: 0.5}
    again.ask()

    folder = TrialFolder(tmp_path / "trial")
    folder.path.mkdir()
    folder.record(1, {"score/mean": 0.5})
    with folder.metrics.open("ab") as file:
        file.write(torn)
    assert [row["epoch"] for row in folder.read()] == [1]
    folder.record(2, {"score/mean": 0.5})
    assert [row["epoch"] for row in folder.read()] == [1, 2]


@pytest.mark.slow
def test_a_full_disk_ends_the_search_in_one_sentence_and_it_goes_on_when_there_is_room(
    tiny_tables: Callable[..., dict[str, dict[str, Any]]],
) -> None:
    tables = tiny_tables(
        space={"epochs": 5, "samples_per_epoch": 256, "batch_size": 4, "jaccard": [True, False]},
        search={"sampler": "grid", "scheduler": "none"},
        resources={"concurrent": 1},
    )
    with tempfile.TemporaryDirectory(prefix="ablatune-") as name:
        path = Path(name).resolve()
        file = path / "study.toml"
        file.write_text(tomli_w.dumps(tables))
        with small_disk(path / "disk", megabytes=16) as disk:
            home = Home(path, file, StudyFolder(disk / "run"), load_study(file))
            try:
                ends_and_goes_on(home, disk)
            finally:
                home.end()


def ends_and_goes_on(home: Home, disk: Path) -> None:
    with search(home) as process:
        wait_for(lambda: len(home.epochs("0000")) >= 2, process)
        fill(disk)
        _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 1, err
    *told, sentence = err.splitlines()
    assert sentence.startswith("error: The disk is full: "), err
    assert str(home.folder.path) in sentence
    assert sentence.endswith("Make room, and the same command goes on.")
    assert all(line.startswith(("Reading", "0/2 trials")) for line in told), err
    before = {r.id: r.scores for r in home.records}
    rows = home.epochs("0000")
    assert load_last(home.folder.trial("0000").checkpoint) is not None
    assert home.records[0].state == "running"

    wait_for(lambda: not home.folder.in_use())
    make_room(disk)
    with search(home, "--quiet") as process:
        _, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (0, "")
    assert [r.state for r in home.records] == ["completed"] * 2
    assert home.epochs("0000") == home.epochs("0001") == [1, 2, 3, 4, 5]
    assert all(before[r.id].items() <= r.scores.items() for r in home.records if r.id in before)
    log = home.folder.trial("0000").log.read_text()
    assert f"training from epoch {rows[-1]:g}" in log or f"from epoch {rows[-1] + 1:g}" in log
    assert not list(home.folder.path.rglob(f".{LAST}*"))


def test_a_folder_that_cannot_be_written_is_one_sentence_and_can_be_read(
    tiny_tables: Callable[..., dict[str, dict[str, Any]]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "study.toml"
    file.write_text(tomli_w.dumps(tiny_tables(space={"jaccard": [True, False]})))
    folder = StudyFolder(tmp_path / "run")
    folder.open(load_study(file))
    optuna.create_study(study_name="study", storage=SearchJournal(folder.journal)).ask()
    with read_only(folder.path):
        assert main(["search", str(file), "--dir", str(folder.path)]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err == (
            f"error: Cannot write to {folder.path}: {os.strerror(errno.EROFS)}.\n"
        )
        assert main(["status", str(folder.path)]) == 0
        assert "1 of 2 trials" in capsys.readouterr().out
