"""The program's own name, under which its packages are found wherever it is started.

They have common names. Once this is imported, an import of one of them finds the one that lies
beside this file, and not a file or a folder of the user's that comes earlier on Python's path.
`search` and `model` import it first of all.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

ROOT = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120, of the user's `pathlib`
PACKAGES = frozenset({"cluster", "model", "search", "spaces"})


class _Beside:
    """A finder that knows where our packages lie."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [ROOT], target) if name in PACKAGES else None


def _check(name: str) -> None:
    """Raises ImportError if a module of the user's has been imported under the name of ours."""
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is not None and os.path.dirname(os.path.dirname(os.path.abspath(file))) != ROOT:  # noqa: PTH100, PTH120
        raise ImportError(
            f"{file} is imported as {name!r}, which is the name of a package of ablatune's: give "
            "it another name, or use ablatune in a program of its own."
        )


for _name in sorted(PACKAGES):
    _check(_name)
if _Beside not in sys.meta_path:
    sys.meta_path.insert(0, _Beside)


def main() -> int:
    """The command line; the exit code."""
    from search.cli import main as command_line

    return command_line()


if __name__ == "__main__":
    sys.exit(main())
