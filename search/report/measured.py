"""What a report shows, read from a study's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.analysis.basis import common_epoch
from search.analysis.factor_effect import FactorEffect
from search.analysis.level_means import level_means
from search.trials.record import Record
from search.trials.study_folder import StudyFolder
from spaces import TASKS, StudyFile

SCORES = (*TASKS, "mean")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Measured:
    """A study with all that was measured in it."""

    study: StudyFile
    records: Sequence[Record]
    epochs: Mapping[str, Sequence[Row]]
    """The lines of each trial's metrics by its id."""
    effects: Sequence[FactorEffect]
    effects_epoch: float

    def last(self, record: Record) -> Row:
        """What was measured at the record's last epoch."""
        rows = self.epochs[record.id]
        return next((row for row in rows if row["epoch"] == record.epoch), {})

    def seconds(self, record: Record) -> float | None:
        """How many seconds the record's trial trained and evaluated, without what lay between its
        epochs."""
        rows = self.epochs[record.id]
        return sum(row.get("seconds", 0.0) for row in rows) if rows else None


def read_measured(folder: StudyFolder) -> Measured:
    study = folder.study()
    records = folder.records(study.space) if folder.journal.exists() else []
    epochs = {record.id: folder.trial(record.id).read() for record in records}
    epoch = common_epoch(records)
    return Measured(study, records, epochs, level_means(records, study.space, epoch), epoch)
