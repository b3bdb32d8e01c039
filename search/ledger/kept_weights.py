"""Keeps the weights of a study's best trials, and removes those of the others."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable

from search.trials.record import Record, Standing, standing
from search.trials.study_folder import StudyFolder


class KeptWeights:
    """The checkpoints of a study's best trials that have ended; those of the others are removed.

    Which are best is what tables and report say too, `search.trials.record.standing`, so that the
    trial that is called best has its weights: those of its own best epoch.
    """

    def __init__(self, folder: StudyFolder, keep: int, records: Iterable[Record]) -> None:
        self._folder, self._keep = folder, keep
        self._ranked: list[tuple[Standing, int, str]] = []  # the best last
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Take up a trial that has ended; one that failed keeps what it has."""
        if record.state not in ("completed", "stopped"):
            return
        insort(self._ranked, (standing(record), -int(record.id), record.id))
        if len(self._ranked) > self._keep:
            *_, worst = self._ranked.pop(0)
            for file in self._folder.trial(worst).checkpoint.glob("*"):
                file.unlink()
