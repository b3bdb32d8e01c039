"""Whether the trial that a folder holds may go on: what decides its numbers must be the same.

What a trial was begun with binds nobody before it has trained something to go on from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from model.machine.device import has_bf16
from model.material import Material
from model.precision import BF16, FP32, faster_precision
from model.setting import Setting
from model.storage.trial_folder import TrialFolder
from spaces import Config, StudyFile, UserError, toml_text


def precision_of(study: StudyFile, material: Material, folder: TrialFolder) -> str:
    """As asked for; as "auto" what the folder's trial was trained in so far, or what is faster."""
    asked = study.resources.precision
    if asked == "auto" and _is_binding(folder):
        asked = folder.setting().get("precision", "auto")
        if asked == "auto":  # of a version that did not write the answer down
            return BF16 if has_bf16() else FP32
    if asked == "auto":
        return faster_precision(study, material, torch.cuda.is_available())
    return asked


def go_on(
    folder: TrialFolder, config: Config, objective: str, setting: Setting
) -> tuple[dict[str, Any], str | None]:
    """What the folder is to keep beside the configuration, and a sentence to tell, if any.

    Raises:
        UserError: if the trial in the folder is another one.
    """
    now = {**setting.table(), "objective": objective}
    if not _is_binding(folder):
        return now, None
    stored, before = folder.setting(), folder.config().values()
    changes = [
        f"{name} was {toml_text(before[name])} and is {toml_text(value)}"
        for name, value in config.values().items()
        if before[name] != value
    ]
    if stored.get("objective", objective) != objective:
        changes.append(f"search.objective was {stored['objective']} and is {objective}")
    known, told = "surroundings" in stored, None
    if known:
        begun = Setting.read(stored, folder.setting_file)
        changes += begun.changes(setting)
        if notes := begun.notes(setting):
            told = (
                f"Not all is as it was when the trial in {folder.path} was begun, which may change "
                f"scores a little: {'; '.join(notes)}."
            )
    else:
        changes += _changed_names(stored, setting)
        told = (
            f"An earlier version of ablatune began the trial in {folder.path} and did not write "
            "down what its data and encoder were: from here on they are taken to be those found "
            "now."
        )
    if changes:
        raise UserError(
            f"{folder.path} holds another trial: {'; '.join(changes)}. Name another folder with "
            "--dir."
        )
    return stored if known else now, told


def _is_binding(folder: TrialFolder) -> bool:
    return (folder.path / "config.toml").exists() and (folder.is_open or folder.metrics.exists())


def _changed_names(stored: Mapping[str, Any], setting: Setting) -> list[str]:
    """Where an earlier version wrote down only what data and encoder were called."""
    pairs = {
        "data.path": (stored.get("data", {}).get("path"), setting.data_path),
        "encoder.name": (stored.get("encoder", {}).get("name"), setting.encoder_name),
        "resources.precision": (stored.get("precision"), setting.precision),
    }
    return [
        f"{name} was {before} and is {now}"
        for name, (before, now) in pairs.items()
        if before not in (None, "auto", now)
    ]
