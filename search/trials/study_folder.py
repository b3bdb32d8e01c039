"""A study's folder: where everything lies, and that only one search writes there at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import tomli_w

from model import BF16, FP32, Setting, TrialFolder, drop_unfinished, has_bf16, write_whole
from search.trials.folder_lock import HeldError, hold, is_held
from search.trials.journal_file import read_records
from search.trials.record import Record
from spaces import EMBEDDED, ResourceSettings, Space, StudyFile, UserError, load_study

# What may differ when a study goes on. The rest decides what its numbers mean; of the resources
# that is the precision, which is compared apart, since "auto" stands for either.
_BUDGETS = ("trials", "hours", "total_epochs", "cost", "patience", "tolerance")
_MAY_CHANGE = {
    "search": (*_BUDGETS, "keep"),
    "resources": tuple(field.name for field in fields(ResourceSettings)),
}


@dataclass(frozen=True)
class StudyFolder:
    """`study.toml`, `setting.toml`, `optuna.journal`, `trials/`, `report/`, `spent.json` and
    `log.txt` of one study."""

    path: Path

    @property
    def file(self) -> Path:
        return self.path / "study.toml"

    @property
    def setting_file(self) -> Path:
        """Data, encoder and precision by content, as they were when the study was begun."""
        return self.path / "setting.toml"

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
        """See `search.worker.end_request.EndRequest`."""
        return self.path / ".end"

    def trial(self, trial: str) -> TrialFolder:
        return TrialFolder(self.trials / trial)

    def set_aside(self, trial: str) -> Path | None:
        """Move a trial's folder out of the way, of which the journal does not know and which is
        thus of another configuration; where to, None where there is none."""
        if not self.trial(trial).path.exists():
            return None
        names = (trial if n == 1 else f"{trial}-{n}" for n in itertools.count(1))
        aside = next(p for p in (self.path / "aside" / name for name in names) if not p.exists())
        aside.parent.mkdir(exist_ok=True)
        self.trial(trial).path.rename(aside)
        return aside

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

    def setting(self) -> Setting | None:
        """What the study was begun with beside its file, None where nobody has written that down:
        nothing was begun, or by a version of ablatune that did not.

        Raises:
            UserError: if it cannot be understood.
        """
        return Setting.from_file(self.setting_file)

    @property
    def is_binding(self) -> bool:
        """Whether a trial here has measured something, or trained what it will go on from: what
        comes after must then mean the same. Where no trial has, nobody is bound by what it was
        begun with."""
        folders = map(TrialFolder, self.trials.glob("[0-9]*"))
        if any(folder.metrics.exists() or folder.is_open for folder in folders):
            return True
        if not (self.file.exists() and self.journal.exists()):
            return False
        return any(record.scores for record in self.records(self.study().space))

    def check(self, study: StudyFile) -> None:
        """Check what can be checked before data and encoder are read: that the study in the
        folder, where there is one, may go on as `study`.

        Raises:
            UserError: if something differs that decides what the stored numbers mean.
        """
        if self.file.exists() and (differing := self._differing(study)) and self.is_binding:
            raise UserError(
                f"The study in {self.path} was begun with {differing[0]}: their scores cannot be "
                "compared. Name another folder with --dir."
            )

    def check_content(self, setting: Setting) -> None:
        """The same of what was read: data, encoder and precision.

        Raises:
            UserError: if any of them has changed.
        """
        stored = self.setting()
        if stored and (changes := stored.changes(setting)) and self.is_binding:
            raise UserError(
                f"The study in {self.path} cannot go on: {'; '.join(changes)} since it was begun "
                f"(data {stored.data_path}, encoder {stored.encoder_name}); scores from before and "
                "after cannot be compared. Put back what it was begun with, or name another folder "
                "with --dir."
            )

    def open(self, study: StudyFile, setting: Setting | None = None) -> list[str]:
        """Make the folder, or go on with the study in it; what should be told of that, in
        sentences. A study that binds nobody begins anew where something differs.

        Raises:
            UserError: if something differs that decides what the stored numbers mean.
        """
        self.check(study)
        if setting is not None:
            self.check_content(setting)
        told: list[str] = []
        try:
            stored = self.setting() if (binding := self.is_binding) else None
            if self.file.exists() and not binding:
                told += self._begin_anew(study, setting)
            elif binding and stored is None and setting is not None:
                told.append(
                    f"An earlier version of ablatune began the study in {self.path} and did not "
                    "write down what its data and encoder were: from here on they are taken to be "
                    f"those found now, in {setting.precision}."
                )
            elif stored is not None and setting is not None and (notes := stored.notes(setting)):
                told.append(
                    f"Not all is as it was when the study in {self.path} was begun, which may "
                    f"change scores a little: {'; '.join(notes)}."
                )
            self.trials.mkdir(parents=True, exist_ok=True)
            for folder in (self.path, self.trials):
                drop_unfinished(folder)
            if stored is None and setting is not None:
                write_whole(self.setting_file, tomli_w.dumps(setting.table()))
            write_whole(self.file, tomli_w.dumps(study.tables()))
        except OSError as error:
            raise UserError(f"Cannot write to {self.path}: {error.strerror}.") from None
        return told

    def precision(self, study: StudyFile) -> str | None:
        """The precision of a study's trials, where that is decided: by its file, by what its
        trials were trained in so far. None where "auto" has still to be answered."""
        asked = study.resources.precision
        return asked if asked != "auto" else self._precision_so_far if self.is_binding else None

    @property
    def _precision_so_far(self) -> str:
        """Of a study that is stored here."""
        if (stored := self.setting()) is not None:
            return stored.precision
        asked = self.study().resources.precision
        # What "auto" meant when nobody wrote the answer down.
        return asked if asked != "auto" else BF16 if has_bf16() else FP32

    def _differing(self, study: StudyFile) -> list[str]:
        """What the stored study file has otherwise, of what decides what numbers mean."""
        before, now = self.study().tables(), study.tables()
        free = {**_MAY_CHANGE, **self._known_by_content(before, now)}
        found = [
            f"{table}.{name} = {before[table].get(name)}, now it is {values.get(name)}"
            for table, values in now.items()
            for name in sorted(values.keys() | before[table].keys())
            if name not in free.get(table, ()) and before[table].get(name) != values.get(name)
        ]
        asked, was = study.resources.precision, self._precision_so_far
        if asked not in ("auto", was):
            found.append(f"resources.precision = {was}, now it is {asked}")
        return found

    def _known_by_content(
        self, before: Mapping[str, Any], now: Mapping[str, Any]
    ) -> dict[str, tuple[str, ...]]:
        """Keys whose values are compared by what they lead to: see `check_content`, and
        `search.ledger.earlier_trials` for the studies that this one starts from."""
        found: dict[str, tuple[str, ...]] = {}
        if self.setting() is not None:
            found["encoder"] = ("name",)
            if EMBEDDED not in (before["data"]["path"], now["data"]["path"]):
                found["data"] = ("path", "train", "dev", "seed")
        starts = [tables["search"].get("start_from") or () for tables in (before, now)]
        if self.earlier.exists() and len(starts[0]) == len(starts[1]):
            found["search"] = (*_MAY_CHANGE["search"], "start_from")
        return found

    def _begin_anew(self, study: StudyFile, setting: Setting | None) -> list[str]:
        """Put aside what a study left that measured nothing and was begun with something else."""
        why, stored = self._differing(study), self.setting()
        if stored is not None and setting is not None:
            why += stored.changes(setting)
        if not why:
            return []
        handed_out = self.records(self.study().space) if self.journal.exists() else []
        # The journal last: as long as it is here this is to be done.
        left = [
            path
            for path in (self.report, self.trials, self.earlier, self.setting_file, self.journal)
            if path.exists()
        ]
        if not handed_out:  # nothing but what is made again
            for file in left:
                if file.is_file():
                    file.unlink()
            return []
        numbered = (self.path / "unmeasured" / str(number) for number in itertools.count(1))
        aside = next(folder for folder in numbered if not folder.exists())
        aside.mkdir(parents=True)
        for path in left:
            path.rename(aside / path.name)
        return [
            f"No trial of the study in {self.path} has measured anything yet, so it begins anew "
            f"({'; '.join(why)}); what its trials left is in {aside}."
        ]

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
        """Whether a search is running here, on this machine or another that shares the disk; no
        search notices that it was asked."""
        return is_held(self.path / ".lock")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the study for one search.

        Raises:
            UserError: if another process holds it, or nothing can be written there.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(hold(self.path / ".lock"))
            except HeldError as held:
                raise UserError(
                    f"Another search (process {held.process}) is running in {self.path}; wait for "
                    "it, or name another folder with --dir."
                ) from None
            yield
