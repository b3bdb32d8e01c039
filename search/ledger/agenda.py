"""What a driver asks of whoever decides which trainings a study consists of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from search.ledger.budget import Ending
from search.ledger.meter import Meter
from search.trials.record import Record
from search.trials.study_folder import StudyFolder
from search.trials.tally import Tally
from spaces import StudyFile


class Agenda(Protocol):
    """Who is next, what was measured, who stops.

    A driver gives the trials of `next` to workers, and tells when a worker begins with one
    (`start`), of each of its reports (`report`), and when its stretch of work has ended (`end`).
    What it tells is on the disk before the call returns, and an agenda that is made anew of the
    same folder goes on from there: the driver may die at any moment, and keeps nothing itself.

    `search.ledger.ledger.Ledger` is the one of a search.
    """

    @property
    def study(self) -> StudyFile:
        """What all the trials are of."""

    @property
    def folder(self) -> StudyFolder:
        """Where they are written."""

    @property
    def notes(self) -> Sequence[str]:
        """What the user should know before anything starts, in sentences."""

    @property
    def trials(self) -> int:
        """How many there are to be, if nothing ends the study before."""

    @property
    def records(self) -> Mapping[str, Record]:
        """Every trial that was given out, by its id; a record changes as its trial does."""

    @property
    def tally(self) -> Tally:
        """The same, summed up."""

    @property
    def meter(self) -> Meter:
        """What is spent, which whoever drives keeps counting: see `Meter.tick`."""

    def next(self) -> Record | None:
        """A trial for a worker that is free, None where there is none now. As long as others run
        there may be one later; where none does, the study is at its end: see `close`."""

    def start(self, trial: str) -> None:
        """A worker has begun with a trial, or begun anew after the one before it died."""

    def report(self, trial: str, epoch: float, score: float) -> bool:
        """A trial has a score; whether it goes on. The same report may come more than once."""

    def end(self, trial: str, failure: str | None = None) -> Record:
        """A stretch of work has ended: why it failed, None where it did not. The record says
        whether the trial has ended with it, or is to go on sometime."""

    def close(self) -> Sequence[Record]:
        """Nothing runs and nothing is next: the trials that end by this."""

    def ending(self) -> Ending | None:
        """The budget that is used up, if one is."""
