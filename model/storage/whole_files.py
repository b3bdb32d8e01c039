"""Lines that are in a file whole or not at all, also where the disk is full."""

from __future__ import annotations

import errno
import os
from io import FileIO
from pathlib import Path


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
