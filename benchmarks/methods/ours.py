"""Our own search under replay: the real ledger, on a folder that is removed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.replay.points import default_point
from search.ledger.ledger import Ledger
from search.trials.study_folder import StudyFolder
from spaces import REPORT, SearchSettings, StudyFile, Value, keys


class Ours:
    """A `benchmarks.replay.simulated_time.Method`."""

    def __init__(self, study: StudyFile, folder: Path, default_first: bool) -> None:
        stored = StudyFolder(folder)
        stored.open(study)
        self._ledger = Ledger(study, stored)
        known = default_point(study.space), study.space.point(REPORT)
        self._left_out = () if default_first else known

    def next(self) -> tuple[str, Mapping[str, Value]] | None:
        record = self._ledger.next()
        if record is None:
            return None
        self._ledger.start(record.id)
        if record.values in self._left_out:
            self.fail(record.id)
            return self.next()
        return record.id, record.values

    def report(self, trial: str, epoch: int, score: float) -> bool:
        return self._ledger.report(trial, epoch, score)

    def end(self, trial: str) -> None:
        self._ledger.end(trial)

    def fail(self, trial: str) -> None:
        self._ledger.end(trial, "diverged")


def variants() -> dict[str, tuple[str, str]]:
    """Sampler and scheduler by name: those that a study file has if it says nothing, then with
    every other declared sampler, then with every other declared scheduler. "auto" is the Gaussian
    process here, which is not run twice."""
    declared = keys(SearchSettings)
    samplers = [s for s in declared["sampler"].domain.levels or () if s not in ("grid", "gp")]
    schedulers = list(declared["scheduler"].domain.levels or ())
    usual = SearchSettings()
    pairs = [(usual.sampler, usual.scheduler)]
    pairs += [(sampler, usual.scheduler) for sampler in samplers if sampler != usual.sampler]
    pairs += [(usual.sampler, other) for other in schedulers if other != usual.scheduler]
    return {f"ablatune {sampler} {scheduler}": (sampler, scheduler) for sampler, scheduler in pairs}


@contextmanager
def ours(
    study: StudyFile, sampler: str, scheduler: str, seed: int, default_first: bool
) -> Iterator[Ours]:
    """A search with no end, as a user has it, or without the default configuration and the report's
    best, which it always tries first."""
    search = replace(
        study.search, sampler=sampler, scheduler=scheduler, seed=seed, trials=1_000_000
    )
    with TemporaryDirectory(prefix="efficiency-") as folder:
        yield Ours(replace(study, search=search), Path(folder) / "study", default_first)
