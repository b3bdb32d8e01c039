"""Files and lines that are on the disk whole or not at all, also where it is full.

A file that is written anew is written beside the old one, under a hidden name that ends with
`.unfinished`, and then renamed: a reader sees the old file or the new one, and never a part. Before
it is renamed it is flushed to the disk, so that a machine that goes down leaves one of the two as
well; what can be made again at any time need not wait for that. Whatever fails raises OSError with
the file's own name, keeps the old file and leaves nothing else; only a process that is killed
leaves its `.unfinished` file, which `drop_unfinished` removes.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path

_UNFINISHED = ".unfinished"


def write_whole(file: Path, content: str | bytes, *, can_be_made_again: bool = False) -> None:
    """Write a file, or replace it, in a folder that is there; text in UTF-8, its ends of lines as
    they are. See the module for what holds of `can_be_made_again` and of failures.

    Raises:
        OSError: with the file's name, if it could not be written.
    """
    stored = content.encode() if isinstance(content, str) else content

    def write(unfinished: Path) -> None:
        unfinished.write_bytes(stored)

    replace_whole(file, write, can_be_made_again=can_be_made_again)


def replace_whole(
    file: Path, write: Callable[[Path], object], *, can_be_made_again: bool = False
) -> None:
    """Like `write_whole`, of a library's own writer: `write` is given the path to write to, where
    there is nothing yet.

    Raises:
        OSError: with the file's name, if it could not be written.
    """
    # Without the file's own name: TensorBoard reads whatever has "tfevents" in its name, and a
    # name may be as long as a disk allows.
    unfinished = file.with_name(f".{secrets.token_hex(8)}{_UNFINISHED}")
    try:
        _write(unfinished, write)
        if not can_be_made_again:
            with unfinished.open("rb+") as written:
                os.fsync(written.fileno())
        with suppress(OSError):  # There is none yet, or its disk knows no rights.
            unfinished.chmod(file.stat().st_mode & 0o777)
        unfinished.replace(file)
    except OSError as error:
        raise with_name(error, file) from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def drop_unfinished(folder: Path) -> None:
    """Remove what processes that were killed left half written; only where nobody writes now."""
    for unfinished in folder.glob(f"*{_UNFINISHED}"):
        unfinished.unlink(missing_ok=True)


def append_whole(file: FileIO, lines: bytes) -> None:
    """Add lines to a file that was opened with "ab" and without a buffer.

    Raises:
        OSError: with the file's name, if there was no room for all of them; none is then there.
    """
    before = os.fstat(file.fileno()).st_size
    try:
        if file.write(lines) != len(lines):  # A disk that fills takes what still fits.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        file.truncate(before)
        raise with_name(error, Path(os.fsdecode(file.name))) from None


def with_name(error: OSError, file: Path) -> OSError:
    """An error like the given one, with the name of the file that could not be written."""
    return OSError(error.errno, error.strerror or os.strerror(error.errno or errno.EIO), str(file))


def _write(unfinished: Path, write: Callable[[Path], object]) -> None:
    try:
        write(unfinished)
    except OSError:
        raise
    except Exception:  # of safetensors or torch, which do not say why; the disk does
        _fill(unfinished)
        raise


def _fill(file: Path) -> None:
    """Write zeros where writing just failed, to learn why; raises OSError with the reason if it
    fails again."""
    with file.open("ab", buffering=0) as end:
        for _ in range(16):
            end.write(bytes(1 << 20))
