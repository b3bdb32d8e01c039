"""`ablatune search`: run a search, or the rest of one, and then its report."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from search.commands.results import print_results
from search.commands.status import summary
from search.text.terminal import tell, terminal
from search.trials.record import Record
from search.trials.study_folder import StudyFolder
from spaces import load_study, shortened


def search(given: argparse.Namespace) -> int:
    """Run a search or the rest of one; then its report. The exit code."""
    study = load_study(given.study, given.overrides)
    given.dir = given.dir or Path("runs") / study.name
    from search.driver.run import run

    folder = StudyFolder(given.dir)
    quiet = given.quiet or given.json
    run(study, folder, given.address, quiet)
    from search.report.write import write_report

    records = folder.records(study.space)
    page = write_report(folder)
    found = summary(study, folder, records)
    if given.json:
        print(json.dumps({**found, "report": str(page)}, indent=2))
        return _came_to(records, folder)
    print_results(study, records)
    console = terminal()
    tell(console, "")
    if found["ending"]:
        tell(console, found["ending"]["sentence"], whole=True)
    for label, text in (
        ("report", str(page)),
        ("TensorBoard", f"ablatune compare {shlex.quote(str(folder.path))}"),
        ("Optuna", str(folder.journal)),
        ("trials", str(folder.trials)),
    ):
        tell(console, f"{label:<12} {text}", whole=True)
    return _came_to(records, folder)


def _came_to(records: Sequence[Record], folder: StudyFolder) -> int:
    """The exit code: a search has come to something where any of its trials did not fail."""
    if not records or any(record.state != "failed" for record in records):
        return 0
    all_of_them = "The one trial" if len(records) == 1 else f"All {len(records)} trials"
    why = shortened(records[0].failure or "of an unknown reason")
    reason = f"{why}" if len(records) == 1 else f"trial {records[0].id}: {why}"
    print(f"error: {all_of_them} failed, {reason}; {folder.log} says more.", file=sys.stderr)
    return 1
