"""Says what a search of a study would do and take, for a reader at a shell and for a program."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from search.text.terminal import Fitting, bold, tell, terminal
from search.text.words import counted, duration, epoch_text
from search.trials.rungs import Rungs
from spaces import StudyFile, load_study

_BESIDE = 34  # columns without which what is told is below its name


def plan(given: argparse.Namespace) -> None:
    """Validate a study with its data and encoder, count what a search of it would do, and predict
    from a few timed steps how long that takes."""
    from model import load_material
    from search.forecast.plan import load_and_predict

    study = load_study(given.study, given.overrides)
    if given.timing:
        material, predicted = load_and_predict(study, given.nodes)
        found = _counted(study, material)
        found["prediction"] = predicted and asdict(predicted)
    else:
        found = _counted(study, load_material(study))
    if given.json:
        print(json.dumps(found, indent=2))
        return
    prediction = found.pop("prediction", {})
    told = {name.replace("_", " "): _plain(name, value) for name, value in found.items()}
    tell(terminal(), _listed({**told, **_told(prediction)}))


def _listed(told: Mapping[str, str]) -> RenderableType:
    """Names with what is told of them, beside each other, or without room for it below."""

    def made(columns: Callable[[RenderableType], int], width: int, _: bool) -> RenderableType:
        if max(map(len, told)) + _BESIDE > width:
            parts: list[RenderableType] = []
            for name, text in told.items():
                parts += [bold(name), Padding(Text(text), (0, 0, 0, 2))]
            return Group(*parts)
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, text in told.items():
            table.add_row(bold(name), Text(text))
        return table

    return Fitting(made)


def _counted(study: StudyFile, material: Any) -> dict[str, Any]:
    from model import ALL_TASKS, DEV, EXTRA, TRAIN

    drawn = study.space.can_be_active("samples_per_epoch")
    samples = int(study.space.fixed.get("samples_per_epoch", 0)) if drawn else 0
    splits = material.corpus.splits
    return {
        "study": study.name,
        "encoder": material.encoder.name,
        "data": study.data.path,
        "examples": {
            task.name: {
                split: len(splits[task.name][split])
                for split in (TRAIN, EXTRA, DEV)
                if split in splits[task.name]
            }
            for task in ALL_TASKS
        },
        "skipped_rows": [f"{r.file}, row {r.row}: {r.why}" for r in material.skipped],
        "free_factors": {name: d.describe() for name, d in study.space.free.items()},
        "configurations": study.space.size,
        "trials": study.trials,
        "epochs_a_trial": study.epochs,
        "epochs_without_stopping": study.trials * study.epochs,
        "rungs": list(Rungs.of(study).levels),
        "samples_per_epoch": samples or (None if drawn else "all"),
    }


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


def _told(prediction: Mapping[str, Any] | None) -> dict[str, str]:
    """The prediction in words, by what it is about; nothing where none was asked for."""
    if prediction is None:
        return {"takes": "not timed: this machine is too small for one trial"}
    if not prediction:
        return {}
    low, high = duration(prediction["low"]), duration(prediction["high"])
    told = {
        "takes": f"about {duration(prediction['seconds'])} ({low} to {high}) with "
        f"{counted(prediction['slots'], 'trial')} side by side, for "
        f"{counted(prediction['epochs'], 'epoch')}",
        "ends by": f"search.{prediction['ended_by']}",
        "precision": prediction["precision"],
    }
    if prediction["cost"] is not None:
        told["costs"] = f"about {prediction['cost']:.3g}"
    cheap, dear = prediction["cheapest"], prediction["dearest"]
    if dear["seconds"] > 1.1 * cheap["seconds"]:
        for name, one in (("cheapest trial", cheap), ("dearest trial", dear)):
            values = ", ".join(
                f"{factor} {one['values'][factor]}"
                for factor in prediction["factors"]
                if factor in one["values"]
            )
            told[name] = f"{duration(one['seconds'])} to its end: {values}"
    else:
        told["a trial"] = f"{duration(dear['seconds'])} to its end, whatever its configuration"
    for factor, levels in prediction["factors"].items():
        told[f"epoch, by {factor}"] = ", ".join(
            f"{level}: {duration(seconds)}" for level, seconds in levels.items()
        )
    return told
