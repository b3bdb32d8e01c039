"""A study's folder: where everything lies, and that only one search writes there at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from model import TrialFolder
from search.records import Record, read_records
from spaces import Space, StudyFile, UserError, load_study

# What may differ when a study goes on. The rest decides what its numbers mean.
_BUDGETS = ("trials", "hours", "total_epochs", "cost", "patience", "tolerance")
_MAY_CHANGE = {"search": (*_BUDGETS, "keep"), "resources": None}


@dataclass(frozen=True)
class StudyFolder:
    """`study.toml`, `optuna.journal`, `trials/`, `report/`, `spent.json` and `log.txt` of one
    study."""

    path: Path

    @property
    def file(self) -> Path:
        return self.path / "study.toml"

    @property
    def journal(self) -> Path:
        return self.path / "optuna.journal"

    @property
    def earlier(self) -> Path:
        """The trials of other studies that this one started from, where it did."""
        return self.path / "earlier.json"

    @property
    def trials(self) -> Path:
        return self.path / "trials"

    @property
    def report(self) -> Path:
        return self.path / "report"

    @property
    def spent(self) -> Path:
        return self.path / "spent.json"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def end_request(self) -> Path:
        """See `search.interruption.EndRequest`."""
        return self.path / ".end"

    def trial(self, trial: str) -> TrialFolder:
        return TrialFolder(self.trials / trial)

    def study(self) -> StudyFile:
        """The study that is stored here.

        Raises:
            UserError: if there is none.
        """
        if not self.file.exists():
            raise UserError(f"{self.path} is no study's folder: it has no {self.file.name}.")
        stored = load_study(self.file, stored=True)
        return StudyFile(
            self.path.resolve().name,
            stored.space,
            stored.encoder,
            stored.data,
            stored.search,
            stored.resources,
        )

    def open(self, study: StudyFile) -> None:
        """Make the folder, or check that the study in it may go on as `study`.

        Raises:
            UserError: if something differs that decides what the stored numbers mean.
        """
        tables = study.tables()
        if self.file.exists():
            _check_same(self.study().tables(), tables, self.path)
        try:
            self.trials.mkdir(parents=True, exist_ok=True)
            unfinished = self.file.with_suffix(".unfinished")
            unfinished.write_text(tomli_w.dumps(tables), encoding="utf-8")
            unfinished.replace(self.file)
        except OSError as error:
            raise UserError(f"Cannot write to {self.path}: {error.strerror}.") from None

    def records(self, space: Space) -> list[Record]:
        """All trials that were handed out; one without a folder still waits for a worker.

        Raises:
            UserError: if nothing was searched here yet.
        """
        records = read_records(self.journal, space)
        for record in records:
            if record.state == "running" and not self.trial(record.id).path.exists():
                record.state = "waiting"
        return records

    def in_use(self) -> bool:
        """Whether a search is running here, on this machine or another that shares the disk."""
        lock = self.path / ".lock"
        if not lock.exists():
            return False
        with lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the study for one search.

        Raises:
            UserError: if another process holds it, or nothing can be written there.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".lock").open("a+")
        except OSError as error:
            raise UserError(f"Cannot write to {self.path}: {error.strerror}.") from None
        with lock as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise UserError(
                    f"Another search (process {file.read().strip() or 'unknown'}) is running in "
                    f"{self.path}; wait for it, or name another folder with --dir."
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield


def _check_same(
    stored: dict[str, dict[str, object]], now: dict[str, dict[str, object]], path: Path
) -> None:
    for table, values in now.items():
        free = _MAY_CHANGE.get(table, ())
        for name in sorted(values.keys() | stored[table].keys()):
            before, after = stored[table].get(name), values.get(name)
            if free is not None and name not in free and before != after:
                raise UserError(
                    f"The study in {path} was begun with {table}.{name} = {before}, now it is "
                    f"{after}: their scores cannot be compared. Name another folder with --dir."
                )
