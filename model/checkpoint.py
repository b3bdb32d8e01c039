"""Checkpoints: the best weights and what it takes to go on, each one file, written atomically.

`best.safetensors` holds all weights of the best evaluation, LoRA's beside those that they adapt and
not merged, so that a score can be had again to the bit. `last.pt` holds everything that the next
update needs, as plain tensors and numbers (`torch.load(..., weights_only=True)` opens it). There is
no generator state: an update's random numbers come from the seed and its own number.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from spaces import UserError

BEST, LAST = "best.safetensors", "last.pt"


def save_best(folder: Path, weights: dict[str, Tensor], about: dict[str, str]) -> None:
    """Write `best.safetensors`; `about` goes into its header."""
    plain = {name: tensor.detach().contiguous() for name, tensor in weights.items()}
    _write(folder / BEST, lambda file: save_file(plain, file, metadata=about))


def load_best(folder: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The best epoch's weights on the CPU, and what was written about them."""
    with safe_open(folder / BEST, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return weights, file.metadata() or {}


def save_last(folder: Path, state: dict[str, Any]) -> None:
    """Write `last.pt`."""
    _write(folder / LAST, lambda file: torch.save(state, file))


def load_last(folder: Path) -> dict[str, Any] | None:
    """The state to go on from, on the CPU; None where there is none.

    Raises:
        UserError: if the file is there but cannot be read.
    """
    file = folder / LAST
    if not file.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # A damaged file fails in many ways, some of them in many lines.
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"The checkpoint {file} cannot be read ({why}); delete it to train from the start."
        ) from error
    return state


def _write(file: Path, write: Callable[[Path], object]) -> None:
    """Write beside, flush to the disk, then rename: a reader sees the old file or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        write(unfinished)
        with unfinished.open("rb+") as written:
            os.fsync(written.fileno())
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
