"""Checkpoints are two files that others can read, and no failure leaves half of one."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from model.storage import checkpoint
from model.storage.checkpoint import BEST, LAST, load_best, load_last, save_best, save_last
from spaces import UserError

OLD, NEW = torch.zeros(3, 2), torch.arange(6.0).view(3, 2)


def save_both(folder: Path, weights: Tensor) -> None:
    save_best(folder, {"layer.weight": weights}, {"epoch": "1", "score": "0.5"})
    save_last(folder, {"epoch": 1, "metrics": {"score/mean": 0.5}, "network": {"w": weights}})


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_weights_and_what_is_said_of_them_come_back(tmp_path: Path) -> None:
    save_both(tmp_path / "new" / "folder", NEW)
    weights, about = load_best(tmp_path / "new" / "folder")
    assert list(weights) == ["layer.weight"]
    assert torch.equal(weights["layer.weight"], NEW)
    assert about == {"epoch": "1", "score": "0.5"}


def test_there_are_two_files_and_no_more(tmp_path: Path) -> None:
    for weights in (OLD, NEW):
        save_both(tmp_path, weights)
    assert names(tmp_path) == {BEST, LAST} == {"best.safetensors", "last.pt"}


def test_others_can_read_both(tmp_path: Path) -> None:
    save_both(tmp_path, NEW)
    weights = safetensors.torch.load_file(tmp_path / "best.safetensors")
    assert torch.equal(weights["layer.weight"], NEW)
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    assert state["epoch"] == 1
    assert torch.equal(state["network"]["w"], NEW)


def test_weights_that_need_gradients_or_lie_transposed_are_saved(tmp_path: Path) -> None:
    save_best(tmp_path, {"a": torch.nn.Parameter(NEW), "b": NEW.T}, {})
    weights, about = load_best(tmp_path)
    assert torch.equal(weights["a"], NEW)
    assert torch.equal(weights["b"], NEW.T)
    assert about == {}


def test_a_folder_without_checkpoint_has_none(tmp_path: Path) -> None:
    assert load_last(tmp_path) is None
    assert load_last(tmp_path / "nowhere") is None


def _fails(*_args: object, **_keys: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def _fails_midway(_content: object, file: Path, **_keys: object) -> None:
    Path(file).write_bytes(b"half of i")
    _fails()


def _no_space_for_best(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(checkpoint, "save_file", _fails_midway)


def _no_space_for_last(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(torch, "save", _fails_midway)


def _no_flush(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(os, "fsync", _fails)


@pytest.mark.parametrize("damage", [_no_space_for_best, _no_space_for_last, _no_flush])
def test_a_failed_write_leaves_the_old_files_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[pytest.MonkeyPatch], None]
) -> None:
    save_both(tmp_path, OLD)
    before = {name: (tmp_path / name).read_bytes() for name in (BEST, LAST)}
    with monkeypatch.context() as patch:
        damage(patch)
        with pytest.raises(OSError, match="No space left"):
            save_both(tmp_path, NEW)
    assert names(tmp_path) == {BEST, LAST}
    assert (tmp_path / LAST).read_bytes() == before[LAST]
    if damage is not _no_space_for_last:  # Otherwise the best was written before.
        assert (tmp_path / BEST).read_bytes() == before[BEST]


def test_a_file_takes_its_name_when_all_of_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_both(tmp_path, OLD)
    seen: list[Tensor] = []
    flush = os.fsync

    def look(descriptor: int) -> None:
        flush(descriptor)
        state = load_last(tmp_path)
        assert state is not None
        seen.append(state["network"]["w"])

    monkeypatch.setattr(os, "fsync", look)
    save_last(tmp_path, {"network": {"w": NEW}})
    assert len(seen) == 1
    assert torch.equal(seen[0], OLD)
    state: dict[str, Any] | None = load_last(tmp_path)
    assert state is not None
    assert torch.equal(state["network"]["w"], NEW)


@pytest.mark.parametrize("keep", [0, 10, 400])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, keep: int) -> None:
    save_both(tmp_path, NEW)
    file = tmp_path / LAST
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"last\.pt cannot be read .*delete it") as error:
        load_last(tmp_path)
    assert str(file) in str(error.value)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    torch.save({"epoch": Path.cwd}, tmp_path / LAST)
    with pytest.raises(UserError, match="cannot be read") as error:
        load_last(tmp_path)
    assert "\n" not in str(error.value)
