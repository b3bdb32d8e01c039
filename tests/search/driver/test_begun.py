"""A search goes on with the data and in the precision that its study was begun with.

All of a search but Ray: its trials report a score at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from search.driver import run as running
from search.driver.run import run
from search.ledger.ledger import Ledger
from search.trials.study_folder import StudyFolder
from search.worker.placement import Claim
from search.worker.run_trial import Shared
from spaces import StudyFile, UserError
from tests.model.test_material import fill

MakeStudy = Callable[..., StudyFile]


@dataclass
class Searches:
    """Searches of one study; what they asked and what their trials were given."""

    folder: StudyFolder
    make: MakeStudy
    answer: str = "fp32"
    asked: int = 0
    trained_in: list[str] = field(default_factory=list)
    fails: bool = False

    def __call__(self, path: Path, trials: int = 1, precision: str = "auto", **tables: Any) -> int:
        """How many trials there are after one more search."""
        study = self.make(
            space={"epochs": 1, "dropout": {"low": 0.0, "high": 0.5}, **tables},
            data={"path": str(path)},
            search={"trials": trials, "sampler": "random"},
            resources={"precision": precision},
        )
        return len(run(study, self.folder, quiet=True).records)

    @property
    def told(self) -> str:
        return self.folder.log.read_text()

    def choose(self, _study: object, _material: object) -> str:
        self.asked += 1
        return self.answer

    def search(self, ledger: Ledger, shared: Shared, *_others: object) -> None:
        while record := ledger.next():
            self.trained_in.append(shared.study.resources.precision)
            folder = ledger.folder.trial(record.id)
            folder.start(ledger.study.space.config(record.values))
            if self.fails:
                ledger.end(record.id, "it ran out of memory")
                continue
            folder.record(1, {"score/mean": 0.5})
            ledger.report(record.id, 1, 0.5)
            ledger.end(record.id)


@pytest.fixture
def searches(
    tiny_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Searches]:
    @contextmanager
    def no_cluster(_address: str) -> Iterator[None]:
        yield

    found = Searches(StudyFolder(tmp_path / "study"), tiny_study)
    monkeypatch.setattr(running, "ray_cluster", no_cluster)
    monkeypatch.setattr(running, "_drive", found.search)
    monkeypatch.setattr(running, "placeable_claim", lambda resources: Claim.of(resources, False))
    monkeypatch.setattr(running, "precision_on_cluster", found.choose)
    yield found
    logging.getLogger("ablatune").propagate = True


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return fill(tmp_path / "data", rows=64)


def test_data_that_have_changed_are_refused_and_named(searches: Searches, data: Path) -> None:
    assert searches(data) == 1
    file = data / "sts-dev.csv"
    whole = file.read_text()
    file.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    with pytest.raises(UserError, match=r"cannot go on: sts-dev\.csv has changed since it was beg"):
        searches(data, trials=2)
    assert len(searches.folder.records(searches.folder.study().space)) == 1
    file.write_text(whole)
    assert searches(data, trials=2) == 2


def test_data_that_were_moved_go_on(searches: Searches, data: Path, tmp_path: Path) -> None:
    searches(data)
    moved = data.rename(tmp_path / "moved")
    assert searches(moved, trials=2) == 2
    assert searches.folder.study().data.path == str(moved)


def test_auto_is_asked_once_a_study(searches: Searches, data: Path) -> None:
    searches(data)
    searches.answer = "bf16"
    assert searches(data, trials=2) == 2
    assert searches.asked == 1
    assert searches.trained_in == ["fp32", "fp32"]
    assert searches.folder.study().resources.precision == "auto"
    with pytest.raises(UserError, match=r"resources\.precision = fp32, now it is bf16"):
        searches(data, trials=3, precision="bf16")
    assert searches(data, trials=3, precision="fp32") == 3


def test_a_precision_that_was_asked_for_is_not_measured(searches: Searches, data: Path) -> None:
    searches(data, precision="bf16")
    assert searches(data, trials=2) == 2  # now "auto"
    assert searches.trained_in == ["bf16", "bf16"]
    assert searches.asked == 0


def test_a_search_that_failed_before_its_first_trial_binds_nobody(
    searches: Searches, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"data\.path names the folder"):
        searches(tmp_path / "nope")
    with pytest.raises(UserError, match="encoder"):
        searches(data, trainable_layers=8)
    assert searches(data, pooling="cls") == 1
    assert searches.folder.study().data.path == str(data)


def test_trials_that_all_failed_before_they_measured_bind_nobody(
    searches: Searches, data: Path, tmp_path: Path
) -> None:
    searches.fails = True
    assert searches(data, trials=2) == 2
    searches.fails = False
    other = fill(tmp_path / "other", rows=32)
    assert searches(other, trials=2, batch_size=4) == 2
    records = searches.folder.records(searches.folder.study().space)
    assert [record.state for record in records] == ["completed"] * 2
    assert "it begins anew" in searches.told
    assert (searches.folder.path / "unmeasured" / "1" / "trials" / "0000").is_dir()


def test_a_study_of_an_earlier_version_goes_on(searches: Searches, data: Path) -> None:
    searches(data, precision="fp32")
    searches.folder.setting_file.unlink()
    assert searches(data, trials=2, precision="fp32") == 2
    assert "An earlier version of ablatune began the study" in searches.told
    assert searches.folder.setting_file.exists()


def test_who_wants_no_progress_is_told_what_was_left_out(
    searches: Searches, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(data, rows=150)
    with (data / "quora-train.csv").open("a") as file:
        file.write("150\t150\talone\n")
    searches(data)
    skipped = f"Skipped 1 unusable row(s); {searches.folder.log} says."
    assert capsys.readouterr().err.splitlines() == [skipped]
    with searches.folder.journal.open("a") as file:
        file.write("\n")
    searches(data, trials=2)
    mended, told = capsys.readouterr().err.splitlines()
    assert "is empty: it is left out, which lost nothing" in mended
    assert told == skipped


def test_a_journal_that_is_refused_is_told_before_data_are_read_or_a_cluster_is_there(
    searches: Searches, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert searches(data, trials=2) == 2
    journal = searches.folder.journal
    lines = journal.read_bytes().splitlines(keepends=True)
    beginning = next(number for number, line in enumerate(lines) if b'"op_code":4' in line)
    journal.write_bytes(b"".join([*lines[:beginning], b"garbage\n", *lines[beginning + 1 :]]))
    monkeypatch.setattr(running, "load_material", None)
    monkeypatch.setattr(running, "ray_cluster", None)
    with pytest.raises(UserError, match=rf"optuna\.journal, line {beginning + 1} is no JSON"):
        searches(data, trials=3)
