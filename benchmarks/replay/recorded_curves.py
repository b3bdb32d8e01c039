"""Recorded learning curves, read and written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.replay.points import default_point, random_point
from spaces import StudyFile, UserError, Value, load_study

RECORDED, SYNTHETIC = "recorded", "synthetic"

SCORES = ("mean", "sst", "para", "sts")


@dataclass(frozen=True)
class Budget:
    """The settings that decide a curve's numbers, beside its configuration and seed."""

    study: str
    kind: str
    epochs: int
    samples: int
    dev: int


@dataclass(frozen=True)
class Curve:
    """One training: `scores[name][k]` and `seconds[k]` are of epoch k + 1; with `failure` they end
    before the budget."""

    budget: Budget
    number: int
    seed: int
    values: Mapping[str, Value]
    scores: Mapping[str, Sequence[float]]
    seconds: Sequence[float]
    failure: str | None = None

    def line(self) -> str:
        own = {name: value for name, value in vars(self).items() if name != "budget"}
        return json.dumps({**vars(self.budget), **own}) + "\n"


@cache
def replayed_study(study: str, epochs: int, samples: int, data: str = "embedded") -> StudyFile:
    """A packaged study with the budget of its curves."""
    return load_study(
        study,
        [
            f"space.epochs={epochs}",
            f"space.samples_per_epoch={samples}",
            "space.early_stopping=0",
            f"data.path={data}",
        ],
    )


def read_curves(file: Path) -> list[Curve]:
    """All whole lines of a file, which must be of one study and budget.

    Raises:
        UserError: if the file is not there, is empty, or mixes budgets.
    """
    if not file.exists():
        raise UserError(
            f"There is no file of learning curves {file}; benchmarks.record_curves makes one."
        )
    curves = list(_stored(file))
    if len({curve.budget for curve in curves}) != 1:
        raise UserError(f"{file} must hold learning curves of one study and one budget.")
    return curves


def _stored(file: Path) -> Iterator[Curve]:
    for line in file.read_text(encoding="utf-8").splitlines(keepends=True):
        if not line.endswith("\n"):
            return  # torn by an interruption
        row = json.loads(line)
        budget = Budget(*(row[name] for name in Budget.__dataclass_fields__))
        space = replayed_study(budget.study, budget.epochs, budget.samples).space
        yield Curve(
            budget,
            row["number"],
            row["seed"],
            space.check(row["values"], str(file)),
            row["scores"],
            row["seconds"],
            row["failure"],
        )


def wanted(count: int, replicates: int) -> list[tuple[int, int]]:
    """Numbers and training seeds of what a recording has: the default's other seeds come last."""
    return [(n, 0) for n in range(count)] + [(0, s) for s in range(1, replicates + 1)]


def point(study: StudyFile, number: int, seed: int) -> dict[str, Value]:
    """Configuration `number` of a recording: the same for every count of them."""
    if number == 0:
        return default_point(study.space)
    return random_point(study.space, np.random.default_rng([seed, number]))
