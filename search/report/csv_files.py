"""A study's numbers as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from search.analysis.factor_effect import FactorEffect
from search.report.measured import SCORES, Measured
from search.report.tables import cells, columns
from spaces import toml_text

_EFFECTS_HEAD = (
    *("factor", "epoch", "level", "against", "count", "mean", "standard_error", "low", "high"),
    *("rank_correlation", "p_value", "verdict"),
)


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([_csv_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def _csv_cell(value: object) -> object:
    """The text of one cell: numbers in full precision, booleans and lists as TOML has them, nothing
    for None."""
    if isinstance(value, bool):
        return toml_text(value)
    return list(value) if isinstance(value, tuple) else value


def trial_rows(measured: Measured) -> list[list[object]]:
    factor_columns = columns(measured.study.space)
    tags = [f"score/{name}" for name in SCORES]
    head = ["last_epoch", "last_score", "best_epoch", "best_score", *tags, "seconds", "failure"]
    rows: list[list[object]] = [["id", "state", *factor_columns, *head]]
    for record in measured.records:
        values = cells(record.values, measured.study.space)
        last = measured.last(record)
        rows.append(
            [
                record.id,
                record.state,
                *(values.get(column) for column in factor_columns),
                record.epoch,
                record.last_score,
                record.best_epoch,
                record.best_score,
                *(last.get(tag) for tag in tags),
                measured.seconds(record),
                record.failure,
            ]
        )
    return rows


def epoch_rows(measured: Measured) -> list[list[object]]:
    lines = [(id, row) for id, rows in measured.epochs.items() for row in rows]
    tags = list(dict.fromkeys(tag for _, row in lines for tag in row if tag != "epoch"))
    return [
        ["id", "epoch", *tags],
        *([id, row["epoch"], *(row.get(tag) for tag in tags)] for id, row in lines),
    ]


def effect_rows(effects: Iterable[FactorEffect]) -> list[list[object]]:
    """The rows of `effects.csv`: one for each level (its mean) and one for each difference (`level`
    minus `against`)."""
    rows: list[list[object]] = [[*_EFFECTS_HEAD]]
    for effect in effects:
        trend = effect.trend
        about = [trend and trend.correlation, trend and trend.p_value, effect.verdict]
        for level in effect.levels:
            mean = [level.count, level.mean, level.standard_error, None, None]
            rows.append([effect.factor, effect.epoch, level.label, None, *mean, *about])
        for difference in effect.differences:
            bounds = [difference.low, difference.high] if difference.is_bounded else [None, None]
            interval = [difference.mean, None, *bounds]
            labels = [difference.level, difference.against, difference.pairs]
            rows.append([effect.factor, effect.epoch, *labels, *interval, *about])
    return rows
