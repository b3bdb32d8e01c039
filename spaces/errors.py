"""The one exception for what a user can put right."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from spaces.domains import shortened


class UserError(Exception):
    """Wrong input: one sentence that says what, where, and what would be right.

    The command line prints it without a traceback and exits with code 2. What it quotes from
    outside may hold anything: characters that a terminal would not show, but obey, are escaped.
    """

    def __init__(self, sentence: str) -> None:
        characters = (
            c if c.isprintable() else c.encode("unicode_escape").decode() for c in sentence
        )
        super().__init__("".join(characters))


def unknown(kind: str, name: object, available: Iterable[str], where: str = "") -> UserError:
    """The error for a name that does not exist: the nearest one that does, or all of them."""
    names, given = list(available), shortened(str(name))
    near = get_close_matches(given, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"available are {', '.join(names)}."
    place = f" in {where}" if where else ""
    return UserError(f"Unknown {kind} {given!r}{place}; {hint}")
