"""Says where a study stands, for a reader at a shell and for a program."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from rich.text import Text

from search.driver.harmless import Harmless
from search.forecast.pace import Pace
from search.ledger.budget import used_up
from search.ledger.meter import read_spent
from search.report.tables import trials_table
from search.text.terminal import tell, terminal
from search.text.words import counted, duration, epoch_text
from search.trials.record import Record
from search.trials.rungs import Rungs
from search.trials.study_folder import StudyFolder
from search.trials.tally import Tally
from spaces import StudyFile


def status(given: argparse.Namespace) -> None:
    """Print where a study stands; this works while it is searched."""
    folder = StudyFolder(given.dir)
    study = folder.study()
    records = folder.records(study.space)
    found = summary(study, folder, records)
    if given.json:
        print(json.dumps(found, indent=2))
        return
    console = terminal()
    states = ", ".join(f"{count} {state}" for state, count in found["states"].items())
    running = "a search is running" if found["running"] else "no search is running"
    of = f"{len(records)} of {counted(found['trials'], 'trial')}"
    tell(console, Text.assemble((study.name, "bold"), f": {of} ({states})"))
    spent, full = counted(found["epochs"], "epoch"), found["epochs_without_stopping"]
    tell(console, f"{spent} spent; {full} without stopping; {running}")
    used = f"{duration(found['seconds'])} of search"
    if study.resources.price:
        used += f", which cost {found['cost']:.4g}"
    tell(console, used)
    for epoch, count in found["rungs"].items():
        tell(console, f"rung at epoch {epoch_text(epoch)}: {counted(count, 'trial')}")
    if found["ending"]:
        tell(console, found["ending"]["sentence"])
    if found["seconds_left"] is not None:
        low, high = map(duration, found["seconds_left_between"])
        tell(console, f"about {duration(found['seconds_left'])} left ({low} to {high})")
    tell(console, trials_table(records, study.space, limit=12))


def summary(study: StudyFile, folder: StudyFolder, records: Sequence[Record]) -> dict[str, Any]:
    """The machine-readable state of a study."""
    tally, spent = Tally(records), read_spent(folder.spent)
    running = folder.in_use()
    rungs = {
        epoch: sum(epoch in record.scores for record in records) for epoch in Rungs.of(study).levels
    }
    left = None
    if running:
        with Harmless()("The forecast"):
            pace = Pace(study, folder)
            pace.take_up(records)
            left = pace.forecast(tally, spent)
    ending = used_up(study, tally, spent)
    return {
        "study": study.name,
        "folder": str(folder.path),
        "trials": study.trials,
        "states": dict(tally.counts),
        "epochs": round(tally.epochs, 3),
        "epochs_without_stopping": study.trials * study.epochs,
        "seconds": round(spent.seconds, 1),
        "cost": None if study.resources.price is None else round(spent.cost, 6),
        "rungs": rungs,
        "running": running,
        "ending": ending
        and {"budget": ending.budget, "sentence": ending.sentence(len(tally.open))},
        "seconds_left": left and round(left.seconds, 1),
        "seconds_left_between": left and [round(left.low, 1), round(left.high, 1)],
        "best": None if tally.best is None else _as_dict(tally.best),
    }


def _as_dict(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "state": record.state,
        "epoch": record.epoch,
        "last_score": record.last_score,
        "best_epoch": record.best_epoch,
        "best_score": record.best_score,
        "values": dict(record.values),
    }
