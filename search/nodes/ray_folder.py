"""Ray's own folder: its sockets, its logs, and what it takes out of memory.

Ray would take the folder that TMPDIR names. A socket's whole path has at most 107 bytes, of which
Ray's own part takes most, and batch systems give long folders. Ray writes it as ASCII besides.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spaces import UserError

_SOCKET_BYTES = 103 if sys.platform == "darwin" else 107
_WITHIN = "/session_2000-01-01_00-00-00_000000_1234567/sockets/plasma_store"
_PREFIX, _LOCK = "abl-", "in-use"
_LAST_LINES = 10
USUAL = ("/tmp", "/var/tmp", "/dev/shm")
LONGEST = _SOCKET_BYTES - len(_WITHIN) - len(f"/{_PREFIX}12345678")
"""Bytes of the path of a folder in which Ray's can be."""


@contextmanager
def ray_folder() -> Iterator[Path]:
    """A new folder of this user's alone, removed at the end. Those that a search left behind which
    was killed go too.

    Raises:
        UserError: if no folder for temporary files has a path that is short enough and room.
    """
    for place in _places():
        with suppress(OSError):
            if str(place) == os.environ.get("RAY_TMPDIR"):  # meant for this, and made if need be
                place.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
            break
    else:
        raise UserError(
            f"Ray needs a folder to write to whose path is ASCII of at most {LONGEST} characters, "
            f"and neither {', '.join(map(str, _places(short=False)))} is one; name one with "
            "RAY_TMPDIR."
        )
    with _held(made):
        _remove_abandoned(made.parent)
        yield made


def last_words(folder: Path) -> list[str]:
    """The ends of what Ray's first processes have said of themselves, where Ray's folder is
    `folder`."""
    said: list[str] = []
    for name in ("gcs_server", "raylet"):
        for file in sorted(folder.glob(f"session_[0-9]*/logs/{name}*.*")):
            with suppress(OSError):
                lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
                said += [f"{file.name}: {line}" for line in lines[-_LAST_LINES:]]
    return said


def _places(short: bool = True) -> list[Path]:
    """Where Ray's folder may be, the first choice first; with `short` only where it can be."""
    named = [os.environ.get(name) for name in ("RAY_TMPDIR", "TMPDIR", "XDG_RUNTIME_DIR")]
    places = [Path(place).absolute() for place in (*named[:2], *USUAL, named[2]) if place]
    unique = list(dict.fromkeys(places))
    return [p for p in unique if str(p).isascii() and len(str(p)) <= LONGEST] if short else unique


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Mark a folder as in use, and remove it at the end. The mark is there only once it is held."""
    with (folder / f".{_LOCK}").open("w") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        (folder / f".{_LOCK}").rename(folder / _LOCK)
        try:
            yield
        finally:
            _remove(folder)


def _remove_abandoned(place: Path) -> None:
    """Remove the folders in `place` that were marked and that no search holds any more."""
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(OSError), (folder / _LOCK).open("r+") as mark:  # not another user's
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(folder)


def _remove(folder: Path) -> None:
    """The mark goes last: what Ray's processes write while they end is left for the next time."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != _LOCK:
            entry.unlink(missing_ok=True)
    with suppress(OSError):
        if [entry.name for entry in folder.iterdir()] == [_LOCK]:
            shutil.rmtree(folder, ignore_errors=True)
