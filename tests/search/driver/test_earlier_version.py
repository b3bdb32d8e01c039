"""A study that an earlier version began is read, reported and gone on with.

`tests/search/stored/search-before-rooms.tar.xz` is the folder of a search that commit 132af7e was
interrupted in: one trial had completed, one was stopped, and two had saved themselves inside an
epoch.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from model import load_last
from search.cli import main
from search.driver.run import run
from search.report.write import write_report
from search.trials.study_folder import StudyFolder

STORED = Path(__file__).parents[1] / "stored" / "search-before-rooms.tar.xz"
STATES = {"0000": "completed", "0001": "running", "0002": "stopped", "0003": "running"}
EPOCHS = {
    "0000": [0.5, 1, 2, 3, 4],
    "0001": [0.5, 1],
    "0002": [0.5, 1],
    "0003": [0.5],
}


@pytest.fixture
def folder(tmp_path: Path, tiny_encoder: Path) -> StudyFolder:
    with tarfile.open(STORED) as archive:
        archive.extractall(tmp_path / "run", filter="data")
    folder = StudyFolder(tmp_path / "run")
    told = folder.file.read_text()
    folder.file.write_text(told.replace("/tmp/stored/encoder/tiny", str(tiny_encoder)))
    return folder


def test_it_is_read_and_reported(folder: StudyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    records = folder.records(folder.study().space)
    assert {r.id: r.state for r in records} == STATES
    assert {r.id: sorted(r.scores) for r in records} == EPOCHS
    best = max(records, key=lambda r: r.scores.get(4, 0))
    assert best.last_score == pytest.approx(0.2419, abs=1e-4)
    page = write_report(folder)
    assert all(trial in page.read_text() for trial in STATES)
    assert main(["status", str(folder.path)]) == 0
    assert "4 of 5 trials" in capsys.readouterr().out


@pytest.mark.slow
def test_it_is_gone_on_with(folder: StudyFolder) -> None:
    study = folder.study()
    before = {r.id: r for r in folder.records(study.space)}
    saved = {i: load_last(folder.trial(i).checkpoint) for i in ("0001", "0003")}
    ledger = run(study, folder, quiet=True)
    assert len(ledger.records) == study.trials == 5
    assert {r.state for r in ledger.records.values()} <= {"completed", "stopped"}
    for trial, earlier in before.items():
        now = ledger.records[trial]
        assert dict(now.values) == dict(earlier.values)
        assert earlier.scores.items() <= now.scores.items()
        if earlier.state != "running":
            assert (now.state, now.scores) == (earlier.state, earlier.scores)
    for trial, state in saved.items():
        assert state is not None
        told = folder.trial(trial).log.read_text()
        began = f"training from epoch {state['epoch']:g}, update {state['updates']}"
        assert told.rindex(began) > told.index("training from epoch 0, update 0")
        rows = folder.trial(trial).read()
        assert [row["epoch"] for row in rows] == sorted(ledger.records[trial].scores)
    assert "earlier version" in folder.log.read_text()
