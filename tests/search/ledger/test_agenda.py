"""A driver takes any agenda, and any training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from model import Metrics, Report
from search.driver.run import run
from search.ledger.agenda import Agenda
from search.ledger.budget import Ending
from search.ledger.ledger import Ledger
from search.ledger.meter import Meter
from search.trials.record import Record
from search.trials.study_folder import StudyFolder
from search.trials.tally import Tally
from spaces import TASKS, Config, StudyFile, Value, parse_study

SEEDS = (3, 1, 2)


class Seeds:
    """One configuration on several seeds, all of them to the end, and one of them is enough if it
    comes to 2."""

    trials = len(SEEDS)
    notes = ("Three seeds are trained.",)

    def __init__(self, study: StudyFile, folder: StudyFolder) -> None:
        self.study, self.folder = study, folder
        self.records: dict[str, Record] = {}
        self.tally = Tally()
        self.meter = Meter(folder.spent, None)
        self.told: list[tuple[str, float, float]] = []
        self._left = [*SEEDS]

    def next(self) -> Record | None:
        if not self._left:
            return None
        values: dict[str, Value] = {"seed": self._left.pop(0)}
        record = Record(f"{len(self.records):04d}", values, "waiting")
        self.records[record.id] = record
        self.tally.add(record)
        return record

    def start(self, trial: str) -> None:
        self.records[trial].state = "running"

    def report(self, trial: str, epoch: float, score: float) -> bool:
        self.told.append((trial, epoch, score))
        self.records[trial].scores[epoch] = score
        return score < 2

    def end(self, trial: str, failure: str | None = None) -> Record:
        record = self.records[trial]
        record.failure, record.ended = failure, 1.0
        record.state = "failed" if failure else "completed"
        self.tally.add(record)
        return record

    def close(self) -> Sequence[Record]:
        return ()

    def ending(self) -> Ending | None:
        return None


def seeded_train(
    config: Config, tasks: Any, corpus: Any, encoder: Any, accelerator: Any, report: Report,
    **options: Any,
) -> None:  # fmt: skip
    """A trial's score is its seed, in each of three epochs."""
    for epoch in (1, 2, 3):
        metrics: Metrics = {f"score/{name}": float(config.seed) for name in ("mean", *TASKS)}
        if not report(epoch, metrics, lambda folder: None):
            return


def test_a_search_s_ledger_is_an_agenda(tmp_path: Path) -> None:
    study = parse_study({"space": {"epochs": 3, "jaccard": [True, False]}}, "s", "s")
    folder = StudyFolder(tmp_path)
    folder.open(study)
    ledger: Agenda = Ledger(study, folder)
    assert ledger.trials == 2
    assert list(ledger.notes) == []
    with folder.journal.open("a") as file:
        file.write("\n")
    (note,) = Ledger(study, folder).notes
    assert "is empty: it is left out, which lost nothing" in note


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_another_agenda_and_another_training_run_on_the_same_driver(
    tiny_study: Callable[..., StudyFile],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    study = tiny_study(
        space={"seed": [1, 2, 3], "epochs": 3}, resources={"concurrent": 1}, search={"keep": 1}
    )
    folder = StudyFolder(tmp_path / "study")
    agenda = run(study, folder, training=seeded_train, agenda=Seeds)
    expected = [("0000", 1, 3), ("0001", 1, 1), ("0001", 2, 1), ("0001", 3, 1), ("0002", 1, 2)]
    assert agenda.told == expected
    assert [r.state for r in agenda.records.values()] == ["completed"] * 3
    assert [row["epoch"] for row in folder.trial("0001").read()] == [1, 2, 3]
    assert "Three seeds are trained." in capsys.readouterr().err
    assert folder.spent.exists()
