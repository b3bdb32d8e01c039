"""A study's results on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from search.text.terminal import bold, tell, terminal
from search.trials.record import Record
from spaces import StudyFile


def print_results(study: StudyFile, records: Sequence[Record]) -> None:
    from search.analysis.basis import common_epoch, describe_basis
    from search.analysis.level_means import level_means
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
