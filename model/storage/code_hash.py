"""The hash of the code that trains: a part of every key under which something is kept."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


def model_folder() -> Path:
    """The folder of the package `model`, at whatever depth this file lies in it."""
    return next(folder for folder in Path(__file__).parents if folder.name == "model")


@cache
def code_hash(root: Path | None = None) -> str:
    """Of all Python files of a folder and of its sub-folders, with their paths in it; of those of
    `model` where no folder is given."""
    root = model_folder() if root is None else root
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(str(file.relative_to(root)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
