"""What each verb of the command line does. Results go to standard output, progress elsewhere."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from search.commands.plan import plan
from search.commands.status import status, summary
from search.text.terminal import bold, tell, terminal
from search.trials.record import Record
from search.trials.study_folder import StudyFolder
from spaces import (
    Space,
    StudyFile,
    factors,
    factors_markdown,
    load_study,
    shortened,
    study_schema,
    toml_text,
)

__all__ = ["compare", "plan", "report", "search", "space", "status"]


def space(given: argparse.Namespace) -> None:
    """Show the factors, as a study varies them."""
    if given.markdown:
        print(factors_markdown(), end="")
        return
    if given.schema:
        print(json.dumps(study_schema(), indent=2))
        return
    varied = load_study(given.study, given.overrides).space if given.study else Space()
    rows = [
        {
            "factor": factor.name,
            "default": factor.default,
            "here": _here(varied, factor.name) if given.study else None,
            "allowed": factor.domain.describe(),
            "active": f"where {factor.active_where}" if factor.when else "always",
            "meaning": factor.meaning,
            "source": factor.source,
        }
        for factor in factors().values()
    ]
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    console = terminal()
    for row in rows:
        here = f" here: {row['here']}" if row["here"] else ""
        default = f" = {toml_text(row['default'])}"
        tell(console, Text.assemble((row["factor"], "bold"), default, (here, "cyan")))
        tell(console, row["meaning"], indent=4)
        tell(console, Text(f"{row['allowed']}; active {row['active']}", style="dim"), indent=4)


def _here(varied: Space, name: str) -> str:
    if name in varied.free:
        return f"free, {varied.free[name].describe()}"
    return toml_text(varied.fixed[name])


def search(given: argparse.Namespace) -> int:
    """Run a search or the rest of one; then its report. The exit code."""
    study = load_study(given.study, given.overrides)
    given.dir = given.dir or Path("runs") / study.name
    from search.driver.run import run

    folder = StudyFolder(given.dir)
    quiet = given.quiet or given.json
    run(study, folder, given.address, quiet)
    from search.report.page import write_report  # Not before: the trials need not wait for it.

    records = folder.records(study.space)
    page = write_report(folder)
    found = summary(study, folder, records)
    if given.json:
        print(json.dumps({**found, "report": str(page)}, indent=2))
        return _came_to(records, folder)
    _print_results(study, records)
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


def report(given: argparse.Namespace) -> None:
    """Write the report and show its essence."""
    from search.report.page import write_report

    folder = StudyFolder(given.dir)
    study = folder.study()
    records = folder.records(study.space)
    page = write_report(folder)
    if given.json:
        print(json.dumps({**summary(study, folder, records), "report": str(page)}, indent=2))
        return
    _print_results(study, records)
    tell(terminal(), f"\nreport  {page}", whole=True)


def compare(given: argparse.Namespace) -> None:
    """TensorBoard on one study or several."""
    from search.tensorboard.server import compare as serve

    serve(given.dir, given.port, as_json=given.json, open_browser=given.open)


def _print_results(study: StudyFile, records: Sequence[Record]) -> None:
    from search.analysis.level_means import common_epoch, describe_basis, level_means
    from search.report.tables import best_lines, effects_table, trials_table

    console = terminal()
    tell(console, trials_table(records, study.space, limit=10))
    for line in best_lines(records, study.space):
        tell(console, line)
    epoch = common_epoch(records)
    tell(console, bold("\nWhat the factors do, so far"))
    tell(console, describe_basis(records, study.space, epoch))
    if epoch:
        tell(console, effects_table(level_means(records, study.space, epoch)))
