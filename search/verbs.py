"""What each verb of the command line does. Results go to standard output, progress elsewhere."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from search.clock import epoch_text
from search.records import Record
from search.rungs import Rungs
from search.study_folder import StudyFolder
from search.tally import Tally
from spaces import (
    Space,
    StudyFile,
    factors,
    factors_markdown,
    load_study,
    study_schema,
    toml_text,
)

_COUNTED = 1_000_000  # configurations of a grid are counted up to here


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


def plan(given: argparse.Namespace) -> None:
    """Validate a study with its data and encoder, and count what a search of it would do."""
    from model import ALL_TASKS, DEV, EXTRA, TRAIN, load_material

    study = load_study(given.study, given.overrides)
    material = load_material(study)
    configurations = _count(study)
    trials = study.trials
    samples = int(study.space.fixed.get("samples_per_epoch", 0))
    counted: dict[str, Any] = {
        "study": study.name,
        "encoder": material.encoder.name,
        "data": study.data.path,
        "examples": {
            task.name: {
                split: len(material.corpus.splits[task.name][split])
                for split in (TRAIN, EXTRA, DEV)
                if split in material.corpus.splits[task.name]
            }
            for task in ALL_TASKS
        },
        "skipped_rows": [f"{r.file}, row {r.row}: {r.why}" for r in material.skipped],
        "free_factors": {name: d.describe() for name, d in study.space.free.items()},
        "configurations": configurations,
        "trials": trials,
        "epochs_a_trial": study.epochs,
        "epochs_without_stopping": trials * study.epochs,
        "rungs": list(Rungs.of(study).levels),
        "samples_per_epoch": samples or None,
    }
    if given.json:
        print(json.dumps(counted, indent=2))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in counted.items():
        table.add_row(f"[bold]{name.replace('_', ' ')}[/]", _plain(name, value))
    Console().print(table)


def _plain(name: str, value: Any) -> str:
    if name == "configurations" and value is None:
        return "endless (a factor is continuous)"
    if name == "examples":
        return "\n".join(
            f"{task}: " + ", ".join(f"{count} {split}" for split, count in splits.items())
            for task, splits in value.items()
        )
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {text}" for key, text in value.items()) or "none"
    if name == "rungs":
        return "\n".join(map(epoch_text, value)) or "none"
    if isinstance(value, list):
        return "\n".join(map(str, value)) or "none"
    return "varies" if value is None else str(value)


def _count(study: StudyFile) -> int | None:
    """The configurations of a categorical space, None for one that cannot be counted."""
    if not study.space.is_grid:
        return None
    count = sum(1 for _ in islice(study.space.grid(), _COUNTED + 1))
    return count if count <= _COUNTED else None


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
    if given.json:
        print(json.dumps({**_summary(study, folder, records), "report": str(page)}, indent=2))
        return
    _print_results(study, records)
    console = Console()
    console.print()
    for label, text in (
        ("report", str(page)),
        ("TensorBoard", f"ablatune compare {folder.path}"),
        ("Optuna", str(folder.journal)),
        ("trials", str(folder.trials)),
    ):
        console.print(f"{label:<12}", text, highlight=False, soft_wrap=True)


def status(given: argparse.Namespace) -> None:
    """Where a study stands; works while it is searched."""
    folder = StudyFolder(given.dir)
    study = folder.study()
    records = folder.records(study.space)
    if given.json:
        print(json.dumps(_summary(study, folder, records), indent=2))
        return
    from search.live import duration
    from search.tables import trials_table

    summary = _summary(study, folder, records)
    console = Console()
    states = ", ".join(f"{count} {state}" for state, count in summary["states"].items())
    running = "a search is running" if summary["running"] else "no search is running"
    console.print(f"[bold]{study.name}[/]: {len(records)} of {summary['trials']} trials ({states})")
    spent, full = summary["epochs"], summary["epochs_without_stopping"]
    console.print(
        f"{epoch_text(spent)} epochs spent; {full} without stopping; {running}", highlight=False
    )
    for epoch, count in summary["rungs"].items():
        console.print(f"rung at epoch {epoch_text(epoch)}: {count} trials", highlight=False)
    if summary["seconds_left"] is not None:
        console.print(f"about {duration(summary['seconds_left'])} left", highlight=False)
    console.print(trials_table(records, study.space, limit=12))


def report(given: argparse.Namespace) -> None:
    """Write the report and show its essence."""
    from search.report import write_report

    folder = StudyFolder(given.dir)
    study = folder.study()
    records = folder.records(study.space)
    page = write_report(folder)
    if given.json:
        print(json.dumps({**_summary(study, folder, records), "report": str(page)}, indent=2))
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


def _summary(study: StudyFile, folder: StudyFolder, records: Sequence[Record]) -> dict[str, Any]:
    """The machine-readable state of a study."""
    tally = Tally(records)
    trials = study.trials
    running = folder.in_use()
    return {
        "study": study.name,
        "folder": str(folder.path),
        "trials": trials,
        "states": dict(tally.counts),
        "epochs": round(tally.epochs, 3),
        "epochs_without_stopping": trials * study.epochs,
        "rungs": {
            epoch: sum(epoch in record.scores for record in records)
            for epoch in Rungs.of(study).levels
        },
        "running": running,
        "seconds_left": tally.seconds_left(trials, study.epochs) if running else None,
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
