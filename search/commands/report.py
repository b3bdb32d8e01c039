"""`ablatune report`: write the report and show its essence."""

from __future__ import annotations

import argparse
import json

from search.commands.results import print_results
from search.commands.status import summary
from search.text.terminal import tell, terminal
from search.trials.study_folder import StudyFolder


def report(given: argparse.Namespace) -> None:
    """Write the report and show its essence."""
    from search.report.write import write_report

    folder = StudyFolder(given.dir)
    study = folder.study()
    records = folder.records(study.space)
    page = write_report(folder)
    if given.json:
        print(json.dumps({**summary(study, folder, records), "report": str(page)}, indent=2))
        return
    print_results(study, records)
    tell(terminal(), f"\nreport  {page}", whole=True)
