"""A study in Python: the verbs of the command line as methods."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from search.trials.record import Record, best_record
from search.trials.study_folder import StudyFolder
from spaces import Config, StudyFile, load_study

if TYPE_CHECKING:
    from search.forecast.plan import Plan


class Study:
    """A study file and the folder that its trials are written to.

    >>> study = Study("studies/quickstart.toml", set=["search.trials=8"])
    >>> study.search()
    >>> study.best.values, study.best.last_score
    """

    def __init__(
        self,
        study: str | Path | StudyFile,
        folder: str | Path | None = None,
        set: Sequence[str] = (),
    ) -> None:
        """
        Args:
            study: a TOML file, the name of a packaged study, or a parsed study.
            folder: the study's folder; `runs/NAME` if left out.
            set: overrides as `--set` takes them.

        Raises:
            UserError: if the file is not there or something in it is not allowed.
        """
        self.file = study if isinstance(study, StudyFile) else load_study(study, set)
        self.folder = StudyFolder(Path(folder) if folder else Path("runs") / self.file.name)

    def search(self, address: str = "local", quiet: bool = False) -> None:
        """Run the study, or what is left of it; see `search.driver.run.run`."""
        from search.driver.run import run

        run(self.file, self.folder, address, quiet)

    def records(self) -> list[Record]:
        """All trials so far, by id."""
        return self.folder.records(self.file.space)

    @property
    def best(self) -> Record | None:
        """The best trial so far; see `search.trials.record.best_record`."""
        return best_record(self.records())

    def config(self, record: Record) -> Config:
        """A trial's whole configuration."""
        return self.file.space.config(record.values)

    def plan(self, nodes: int = 1) -> Plan | None:
        """What a search of the study would take; see `search.forecast.plan.predict`."""
        from search.forecast.plan import load_and_predict

        return load_and_predict(self.file, nodes)[1]

    def report(self) -> Path:
        """Write the report; the path of its page."""
        from search.report.write import write_report

        return write_report(self.folder)
