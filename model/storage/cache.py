"""The cache: a folder for files that can be made again and are kept for the next time."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "ABLATUNE_CACHE"


def cache_folder(kind: str) -> Path:
    """The folder for things of one kind. Raises RuntimeError where the user has no home."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named) / kind
    usual = os.environ.get("XDG_CACHE_HOME")
    return (Path(usual) if usual else Path.home() / ".cache") / "ablatune" / kind


def drop_oldest(folder: Path, keep: int) -> None:
    """Keep the files that were used last; those that a process left unfinished go in their turn."""
    files = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[keep:]:
        file.unlink(missing_ok=True)
