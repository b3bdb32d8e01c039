"""Checkpoints: the best weights and what it takes to go on, each one file, written atomically.

`best.safetensors` holds all weights of the best evaluation, LoRA's beside those that they adapt and
not merged, so that a score can be had again to the bit. `last.pt` holds everything that the next
update needs, as plain tensors and numbers (`torch.load(..., weights_only=True)` opens it). There is
no generator state: an update's random numbers come from the seed and its own number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from model.storage.whole_files import drop_unfinished, replace_whole
from spaces import UserError

BEST, LAST = "best.safetensors", "last.pt"


def save_best(folder: Path, weights: dict[str, Tensor], about: dict[str, str]) -> None:
    """Write `best.safetensors`; `about` goes into its header."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {name: tensor.detach().contiguous() for name, tensor in weights.items()}
    replace_whole(folder / BEST, lambda file: save_file(plain, file, metadata=about))


def load_best(folder: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The best epoch's weights on the CPU, and what was written about them."""
    with safe_open(folder / BEST, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return weights, file.metadata() or {}


def save_last(folder: Path, state: dict[str, Any]) -> None:
    """Write `last.pt`."""
    folder.mkdir(parents=True, exist_ok=True)
    replace_whole(folder / LAST, lambda file: torch.save(state, file))


def load_last(folder: Path, mmap: bool = False) -> dict[str, Any] | None:
    """The state to go on from, on the CPU; None where there is none. With `mmap` its tensors are
    read when they are used.

    Raises:
        UserError: if the file is there but cannot be read.
    """
    file = folder / LAST
    if not file.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # A damaged file fails in many ways, some of them in many lines.
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"The checkpoint {file} cannot be read ({why}); delete it to train from the start."
        ) from error
    return state


def mend_checkpoint(folder: Path) -> str | None:
    """Make a folder fit to go on from: without the halves that a killed process left behind, and
    without a `last.pt` that cannot be read. A sentence on the latter, None where all is well."""
    drop_unfinished(folder)
    for name in (BEST, LAST):  # as earlier versions named them
        for unfinished in folder.glob(f".{name}.*"):
            unfinished.unlink()
    try:
        load_last(folder, mmap=True)
    except UserError:
        (folder / LAST).unlink()
        return f"its checkpoint {folder / LAST} was damaged: it is trained from the start"
    return None
