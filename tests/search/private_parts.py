"""Checks that a library still has the private parts that one file of ours relies on."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pytest


@dataclass(frozen=True)
class PrivateParts:
    """Those of a library that `file` alone reaches into."""

    library: str
    file: str

    @contextmanager
    def relied_on(self, name: str, *, as_what: str) -> Iterator[Any]:
        """What has this whole name, to be checked inside the block. Whatever is not as it should
        be, a name that is gone or an assertion, is told in one sentence."""
        try:
            yield found(name)
        except Exception as error:
            why = " ".join(str(error).split())[:200] or type(error).__name__
            pytest.fail(
                f"{self.library} {version(self.library)}: {name} is not {as_what}, which "
                f"{self.file} relies on: look there ({why}).",
                pytrace=False,
            )


def found(name: str) -> Any:
    """A module, or what is in one, by its whole name."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            thing: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[length:]:
            thing = getattr(thing, attribute)
        return thing
    raise ModuleNotFoundError(name)
