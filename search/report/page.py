"""The report of a study: one HTML page that stands alone, and its numbers as CSV."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tomli_w
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from search.analysis.level_means import (
    FactorEffect,
    common_epoch,
    describe_basis,
    describe_sampler,
    level_means,
)
from search.report import charts
from search.report.tables import cells, columns, score_text, value_text
from search.text.words import counted
from search.trials.epochs import epoch_text
from search.trials.record import Record, best_record, ranked
from search.trials.rungs import Rungs
from search.trials.study_folder import StudyFolder
from spaces import EMBEDDED, TASKS, StudyFile, UserError, Value, factors, toml_text

_SCORES = (*TASKS, "mean")
_OBJECTIVES = {"mean": "mean dev score of all tasks"} | {t: f"dev score of {t}" for t in TASKS}
_EFFECTS_HEAD = (
    *("factor", "epoch", "level", "against", "count", "mean", "standard_error", "low", "high"),
    *("rank_correlation", "p_value", "verdict"),
)
_SEEN_BY_MINILM = "This encoder has seen Quora question pairs in its own pretraining."

Row = Mapping[str, Any]


@dataclass(frozen=True)
class _Measured:
    """A study with all that was measured in it."""

    study: StudyFile
    records: Sequence[Record]
    epochs: Mapping[str, Sequence[Row]]
    """The lines of each trial's metrics by its id."""
    effects: Sequence[FactorEffect]
    effects_epoch: float

    def last(self, record: Record) -> Row:
        """What was measured at the record's last epoch."""
        rows = self.epochs[record.id]
        return next((row for row in rows if row["epoch"] == record.epoch), {})

    def seconds(self, record: Record) -> float | None:
        """Training and evaluation of all its epochs, without what lay between them."""
        rows = self.epochs[record.id]
        return sum(row.get("seconds", 0.0) for row in rows) if rows else None


def write_report(folder: StudyFolder) -> Path:
    """Write `index.html`, `trials.csv`, `epochs.csv` and `effects.csv`; the page's path.

    Works for a study that has no trials yet and while a search runs: it shows what is there.

    Raises:
        UserError: if the folder holds no study, or cannot be written to.
    """
    measured = _read(folder)
    files = {
        "trials.csv": _csv(_trial_rows(measured)),
        "epochs.csv": _csv(_epoch_rows(measured)),
        "effects.csv": _csv(_effect_rows(measured.effects)),
        "index.html": _page(measured),
    }
    try:
        folder.report.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            _write(folder.report / name, text)
    except OSError as error:
        raise UserError(f"Cannot write to {folder.report}: {error.strerror}.") from None
    return folder.report / "index.html"


def _read(folder: StudyFolder) -> _Measured:
    study = folder.study()
    records = folder.records(study.space) if folder.journal.exists() else []
    epochs = {record.id: folder.trial(record.id).read() for record in records}
    epoch = common_epoch(records)
    return _Measured(study, records, epochs, level_means(records, study.space, epoch), epoch)


def _write(path: Path, text: str) -> None:
    """Under another name first, so that no reader sees half a file."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8", newline="")
    unfinished.replace(path)


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([_csv_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def _csv_cell(value: object) -> object:
    """Numbers in full precision, booleans and lists as TOML has them, nothing for None."""
    if isinstance(value, bool):
        return toml_text(value)
    return list(value) if isinstance(value, tuple) else value


def _trial_rows(measured: _Measured) -> list[list[object]]:
    factor_columns = columns(measured.study.space)
    tags = [f"score/{name}" for name in _SCORES]
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


def _epoch_rows(measured: _Measured) -> list[list[object]]:
    lines = [(id, row) for id, rows in measured.epochs.items() for row in rows]
    tags = list(dict.fromkeys(tag for _, row in lines for tag in row if tag != "epoch"))
    return [
        ["id", "epoch", *tags],
        *([id, row["epoch"], *(row.get(tag) for tag in tags)] for id, row in lines),
    ]


def _effect_rows(effects: Iterable[FactorEffect]) -> list[list[object]]:
    """A row a level (its mean), and a row a difference (`level` minus `against`)."""
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


def _page(measured: _Measured) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"epoch": epoch_text, "score": score_text, "value": value_text}
    study, records = measured.study, measured.records
    best = best_record(records)
    chart = charts.level_means_chart(measured.effects)
    return environment.get_template("report.html").render(
        study=study,
        facts=_facts(study),
        notes=[_SEEN_BY_MINILM] if study.encoder.name == "minilm" else [],
        counts=_counts(records),
        spending=_spending(records, study.epochs),
        best=best and _best(best, measured),
        tasks=_SCORES,
        area=charts,
        curves=charts.learning_curves(records, study.epochs, best.id if best else None),
        basis=describe_basis(records, study.space, measured.effects_epoch),
        caution=describe_sampler(study.sampler),
        effects=[(e, chart.dots[e.factor], _meaning(e.factor)) for e in measured.effects],
        ticks=chart.ticks,
        columns=columns(study.space),
        trials=[_trial(record, measured) for record in ranked(records)],
        grid=_grid(measured),
        failures=[record for record in records if record.state == "failed"],
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _facts(study: StudyFile) -> list[tuple[str, str]]:
    """What the study is, in words; of paths only the last part, since a report is passed on."""
    search, data = study.search, study.data
    corpus = (
        f"embedded: {data.train} training and {data.dev} development examples a task, "
        f"generator seed {data.seed}"
        if data.path == EMBEDDED
        else Path(data.path).name
    )
    encoder = study.encoder.name
    seed = "varies" if "seed" in study.space.free else str(study.space.fixed["seed"])
    return [
        ("Data", corpus),
        ("Encoder", Path(encoder).name if Path(encoder).is_absolute() else encoder),
        ("Budget", f"{counted(study.trials, 'trial')} of up to {counted(study.epochs, 'epoch')}"),
        ("Objective", _OBJECTIVES[search.objective]),
        ("Sampler", f"{study.sampler}, seed {search.seed}"),
        ("Scheduler", _scheduler(study)),
        ("Seed of the trials", seed),
    ]


def _scheduler(study: StudyFile) -> str:
    search = study.search
    if search.scheduler == "none":
        return "none: every trial has its full budget"
    rungs = ", ".join(map(epoch_text, Rungs.of(study).levels)) or "none"
    what = "each pauses, and the best" if search.scheduler == "promotion" else "the best"
    share = f"{what} 1 in {search.reduction_factor} go on"
    return f"{search.scheduler}: {share}, rungs at {rungs}"


def _counts(records: Sequence[Record]) -> list[tuple[str, int]]:
    states = [record.state for record in records]
    return [
        (state, states.count(state))
        for state in ("completed", "stopped", "failed", "running", "paused")
        if state in ("completed", "stopped") or state in states
    ]


@dataclass(frozen=True)
class _Spending:
    """Epochs trained, against those had no trial been stopped by the scheduler."""

    epochs: float
    unstopped: float

    @property
    def share(self) -> float:
        return self.epochs / self.unstopped if self.unstopped else 1.0


def _spending(records: Sequence[Record], budget: int) -> _Spending:
    return _Spending(
        sum(record.epoch for record in records),
        sum(budget if record.state == "stopped" else record.epoch for record in records),
    )


def _best(record: Record, measured: _Measured) -> dict[str, Any]:
    config = measured.study.space.config(record.values)
    active = {n: list(v) if isinstance(v, tuple) else v for n, v in config.active().items()}
    return {
        "record": record,
        "values": [(n, record.values[n]) for n in measured.study.space.free if n in record.values],
        "scores": _scores(record, measured),
        "seed": config.seed,
        "toml": tomli_w.dumps({"space": active}),
    }


def _scores(record: Record, measured: _Measured) -> list[float | None]:
    last = measured.last(record)
    return [last.get(f"score/{name}") for name in _SCORES]


def _trial(record: Record, measured: _Measured) -> dict[str, Any]:
    values = cells(record.values, measured.study.space)
    return {
        "record": record,
        "values": [values.get(column) for column in columns(measured.study.space)],
        "scores": _scores(record, measured),
        "seconds": measured.seconds(record),
    }


def _grid(measured: _Measured) -> list[dict[str, Any]]:
    """The trials of a space of choices, or of any that is run whole, in the order of its grid; none
    for other spaces. Only completed trials have scores there: the last epochs of others are no
    equals of theirs."""
    study, space = measured.study, measured.study.space
    listed = all(domain.levels is not None for domain in space.free.values())
    if not space.free or not (listed or study.trials == space.size):
        return []

    def order(record: Record) -> list[int]:
        return [
            _position(space.free[name].values or (), record.values.get(name)) for name in space.free
        ]

    return [
        {
            "record": record,
            "values": [record.values.get(name) for name in space.free],
            "scores": _scores(record, measured)
            if record.state == "completed"
            else [None] * len(_SCORES),
        }
        for record in sorted(measured.records, key=order)
    ]


def _position(values: Sequence[Value], value: Value) -> int:
    """Where a value stands among all; `1` and `True` are different, an inactive one is first."""
    if isinstance(values, range):
        return -1 if value is None else values.index(value)
    same = [i for i, other in enumerate(values) if (type(other), other) == (type(value), value)]
    return same[0] if same else -1


def _meaning(factor: str) -> str:
    return factors()[factor.partition(".")[0]].meaning
