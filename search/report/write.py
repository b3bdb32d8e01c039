"""Writing the report: the page, its tables as CSV."""

from __future__ import annotations

from pathlib import Path

from model import write_whole
from search.report.csv_files import csv_text, effect_rows, epoch_rows, trial_rows
from search.report.measured import read_measured
from search.report.page import page_html
from search.trials.study_folder import StudyFolder
from spaces import UserError


def write_report(folder: StudyFolder) -> Path:
    """Write `index.html`, `trials.csv`, `epochs.csv` and `effects.csv`; the page's path.

    Works for a study that has no trials yet and while a search runs: it shows what is there.

    Raises:
        UserError: if the folder holds no study, or cannot be written to.
    """
    measured = read_measured(folder)
    files = {
        "trials.csv": csv_text(trial_rows(measured)),
        "epochs.csv": csv_text(epoch_rows(measured)),
        "effects.csv": csv_text(effect_rows(measured.effects)),
        "index.html": page_html(measured),
    }
    try:
        folder.report.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_whole(folder.report / name, text, can_be_made_again=True)
    except OSError as error:
        raise UserError(f"Cannot write to {folder.report}: {error.strerror}.") from None
    return folder.report / "index.html"
