"""What each verb of the command line does. Results go to standard output, progress elsewhere."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from search.records import Record
from search.show_plan import plan
from search.status import status, summary
from search.study_folder import StudyFolder
from spaces import (
    Space,
    StudyFile,
    factors,
    factors_markdown,
    load_study,
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
    console = Console()
    for row in rows:
        here = f" [cyan]here: {row['here']}[/]" if row["here"] else ""
        console.print(f"[bold]{row['factor']}[/] = {toml_text(row['default'])}{here}")
        console.print(f"    {row['meaning']}", highlight=False)
        console.print(f"    [dim]{row['allowed']}; active {row['active']}[/]", highlight=False)


def _here(varied: Space, name: str) -> str:
    if name in varied.free:
        return f"free, {varied.free[name].describe()}"
    return toml_text(varied.fixed[name])


def search(given: argparse.Namespace) -> None:
    """Run a search or the rest of one; then its report."""
    study = load_study(given.study, given.overrides)
    given.dir = given.dir or Path("runs") / study.name
    from search.run import run

    folder = StudyFolder(given.dir)
    quiet = given.quiet or given.json
    run(study, folder, given.address, quiet)
    from search.report import write_report  # Not before: the trials need not wait for it.

    records = folder.records(study.space)
    page = write_report(folder)
    found = summary(study, folder, records)
    if given.json:
        print(json.dumps({**found, "report": str(page)}, indent=2))
        return
    _print_results(study, records)
    console = Console()
    console.print()
    if found["ending"]:
        console.print(found["ending"]["sentence"], highlight=False, soft_wrap=True)
    for label, text in (
        ("report", str(page)),
        ("TensorBoard", f"ablatune compare {folder.path}"),
        ("Optuna", str(folder.journal)),
        ("trials", str(folder.trials)),
    ):
        console.print(f"{label:<12}", text, highlight=False, soft_wrap=True)


def report(given: argparse.Namespace) -> None:
    """Write the report and show its essence."""
    from search.report import write_report

    folder = StudyFolder(given.dir)
    study = folder.study()
    records = folder.records(study.space)
    page = write_report(folder)
    if given.json:
        print(json.dumps({**summary(study, folder, records), "report": str(page)}, indent=2))
        return
    _print_results(study, records)
    Console().print(f"\nreport  {page}", highlight=False, soft_wrap=True)


def compare(given: argparse.Namespace) -> None:
    """TensorBoard on one study or several."""
    from search.compare import compare as serve

    serve(given.dir, given.port, as_json=given.json, open_browser=given.open)


def _print_results(study: StudyFile, records: Sequence[Record]) -> None:
    from search.effects import common_epoch, describe_basis, level_means
    from search.tables import best_lines, effects_table, trials_table

    console = Console()
    console.print(trials_table(records, study.space, limit=10))
    for line in best_lines(records, study.space):
        console.print(line, highlight=False)
    epoch = common_epoch(records)
    console.print("\n[bold]What the factors do, so far[/]")
    console.print(describe_basis(records, study.space, epoch), highlight=False)
    if epoch:
        console.print(effects_table(level_means(records, study.space, epoch)))
