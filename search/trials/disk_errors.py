"""A disk that takes nothing more: known by the error's number, told in one sentence."""

from __future__ import annotations

import errno
import os

_FULL = (errno.ENOSPC, errno.EDQUOT)
_BROKEN = (errno.EROFS, errno.EIO, errno.ESTALE)
_REFUSED = (errno.EACCES, errno.EPERM)


def is_of_disk(error: OSError) -> bool:
    """Whether the disk is at fault, or the rights on it, and no path or connection."""
    return error.errno in (*_FULL, *_BROKEN, *_REFUSED)


def disk_sentence(error: OSError) -> str:
    """What happened, where, and what helps."""
    assert error.errno is not None
    why = os.strerror(error.errno).lower()
    if error.errno in _REFUSED:
        file = error.filename or "A file of the study"
        return f"{file} may not be read or written ({why}). Once it may, the same command goes on."
    file = f"{error.filename} could not be written" if error.filename else "a file was not written"
    if error.errno in _FULL:
        return f"The disk is full: {file} ({why}). Make room, and the same command goes on."
    return f"The disk failed: {file} ({why}). Once it can be written, the same command goes on."
