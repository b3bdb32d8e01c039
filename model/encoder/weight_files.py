"""Which files of a checkpoint's folder hold its weights: one, or the pieces that an index names."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath, PureWindowsPath

from model.encoder.pretrained_files import PICKLE, SAFETENSORS
from spaces.errors import UserError
from spaces.library_failures import brief

SAFETENSORS_INDEX, PICKLE_INDEX = f"{SAFETENSORS}.index.json", f"{PICKLE}.index.json"


def weight_files(folder: Path) -> list[Path]:
    """The files in order, in the form that transformers would take too: all of them safetensors,
    or all pickled. Raises UserError where there are none, or pieces are missing."""
    for whole, index in ((SAFETENSORS, SAFETENSORS_INDEX), (PICKLE, PICKLE_INDEX)):
        if (folder / whole).is_file():
            return [folder / whole]
        if (folder / index).is_file():
            return _pieces(folder / index)
    raise UserError(
        f"{folder} has no weights: neither {SAFETENSORS} nor {PICKLE}, nor an index of their pieces"
        f" ({SAFETENSORS_INDEX}, {PICKLE_INDEX})."
    )


def _pieces(index: Path) -> list[Path]:
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{index} cannot be read ({brief(error)}).") from error
    by_weight = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(by_weight, dict) or not by_weight:
        raise UserError(f'{index} has no "weight_map" of the files that hold the weights.')
    names = dict.fromkeys(map(str, by_weight.values()))
    for name in names:
        if not _is_inside(name):
            raise UserError(f"{index} names {_short(name)!r}, which is no file in its folder.")
    missing = [name for name in names if not _is_file(index.parent / name)]
    if missing:
        raise UserError(
            f"{index.parent} lacks {', '.join(map(_short, missing[:3]))}"
            f"{f' and {len(missing) - 3} more' if len(missing) > 3 else ''}: {index.name} names "
            f"{len(names)} file(s) of weights, and all are needed."
        )
    return [index.parent / name for name in sorted(names)]


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # No file has a name that is too long.
        return False


def _short(name: str) -> str:
    return name if len(name) <= 100 else f"{name[:100]}..."


def _is_inside(name: str) -> bool:
    """As the name is written: in the hub's cache the file itself is a link to elsewhere."""
    paths = PurePosixPath(name), PureWindowsPath(name)
    return not any("\0" in name or path.anchor or ".." in path.parts for path in paths)
