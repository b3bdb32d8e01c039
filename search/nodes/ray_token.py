"""The token of a Ray cluster: who has none cannot run code on it.

For a cluster that it starts, Ray itself writes one into the user's home, readable as the umask has
it. In a container the home is often nobody's, and of two searches that find no token the second
would overwrite the first one's while its processes start.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from search.nodes.ray_private import forget_token, has_token

_MODE, _FILE = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH"


def token_mode() -> str | None:
    """What the environment says of tokens, None where it says nothing."""
    mode = os.environ.get(_MODE)
    return None if mode is None else mode.lower()


def token_file() -> str | None:
    """The file that the environment names."""
    return os.environ.get(_FILE)


@contextmanager
def tokens_as_before() -> Iterator[None]:
    """What is set meanwhile, by us and by Ray, in the environment of this process and of those that
    it starts, is as before at the end."""
    before = {name: os.environ.get(name) for name in (_MODE, _FILE)}
    try:
        yield
    finally:
        changed = [name for name, value in before.items() if os.environ.get(name) != value]
        for name in changed:
            os.environ.pop(name, None)
            if (value := before[name]) is not None:
                os.environ[name] = value
        if changed:
            forget_token()


def provide_token(folder: Path) -> None:
    """See to it, before a cluster is started, that there is a token, where the user did not do
    without: the user's own, else a new one in the home, where other programs of the user's find it,
    else one in `folder`, which is private."""
    if token_mode() not in (None, "token") or has_token():
        return
    with suppress(OSError, RuntimeError):  # RuntimeError: nobody knows where the home would be.
        home = Path.home() / ".ray"
        home.mkdir(parents=True, exist_ok=True)
        _write(home / "auth_token")
    forget_token()
    if not has_token():
        _write(folder / "token")
        os.environ[_FILE] = str(folder / "token")
        forget_token()


def _write(file: Path) -> None:
    """A new token, whole from the beginning and for this user alone; where another search has just
    made one, that stays."""
    descriptor, beside = tempfile.mkstemp(dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as written:
            written.write(secrets.token_hex(32))
        with suppress(FileExistsError):
            os.link(beside, file)
    finally:
        Path(beside).unlink()
