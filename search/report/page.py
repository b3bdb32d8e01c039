"""The report of a study: one HTML page that stands alone, and its numbers as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tomli_w
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from search.analysis.basis import describe_basis, describe_sampler
from search.report import charts
from search.report.measured import SCORES, Measured
from search.report.tables import cells, columns
from search.text.words import counted, epoch_text, score_text, value_text
from search.trials.record import Record, best_record, ranked
from search.trials.rungs import Rungs
from spaces import EMBEDDED, TASKS, StudyFile, Value, factors

_OBJECTIVES = {"mean": "mean dev score of all tasks"} | {t: f"dev score of {t}" for t in TASKS}
_SEEN_BY_MINILM = "This encoder has seen Quora question pairs in its own pretraining."


def page_html(measured: Measured) -> str:
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
        tasks=SCORES,
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
    """How many epochs were trained, beside how many it had been if the scheduler had stopped no
    trial."""

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


def _best(record: Record, measured: Measured) -> dict[str, Any]:
    config = measured.study.space.config(record.values)
    active = {n: list(v) if isinstance(v, tuple) else v for n, v in config.active().items()}
    return {
        "record": record,
        "values": [(n, record.values[n]) for n in measured.study.space.free if n in record.values],
        "scores": _scores(record, measured),
        "seed": config.seed,
        "toml": tomli_w.dumps({"space": active}),
    }


def _scores(record: Record, measured: Measured) -> list[float | None]:
    last = measured.last(record)
    return [last.get(f"score/{name}") for name in SCORES]


def _trial(record: Record, measured: Measured) -> dict[str, Any]:
    values = cells(record.values, measured.study.space)
    return {
        "record": record,
        "values": [values.get(column) for column in columns(measured.study.space)],
        "scores": _scores(record, measured),
        "seconds": measured.seconds(record),
    }


def _grid(measured: Measured) -> list[dict[str, Any]]:
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
            else [None] * len(SCORES),
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
