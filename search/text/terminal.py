"""How things are told at a terminal: text as it is, tables as wide as there is room.

Names, paths and values come from users: no bracket in them is markup and no colon an emoji. A
terminal that is narrow, dumb or knows ASCII alone gets less, and never a number that was cut.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.text import Text

_ENDLESS = 10_000  # columns: more than any table has


def terminal(stderr: bool = False) -> Console:
    """The one of standard output, or of standard error. A file or a pipe stays one, whatever
    FORCE_COLOR claims: nothing is redrawn there."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr,
        markup=False,
        emoji=False,
        highlight=False,
        force_interactive=None if stream.isatty() else False,
    )


def tell(console: Console, *parts: RenderableType, indent: int = 0, whole: bool = False) -> None:
    """Print texts, wrapped between words where they are longer than a line, and tables.

    Args:
        indent: columns before each line.
        whole: leave a line as long as it is, as a path that one copies.
    """
    shown = [Padding(part, (0, 0, 0, indent)) if indent else part for part in parts]
    console.print(*shown, soft_wrap=whole, crop=False)


@dataclass(frozen=True)
class Fitting:
    """What looks otherwise where there is less room, or ASCII alone: it is made when it is drawn.
    What is wider than the room even so is left whole, and for the terminal to wrap."""

    make: Callable[[Callable[[RenderableType], int], int, bool], RenderableType]
    """From what measures a part, the columns that there are, and whether there is ASCII alone."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        def columns(part: RenderableType) -> int:
            endless = options.update(min_width=1, max_width=_ENDLESS)
            return console.measure(part, options=endless).maximum

        made = self.make(columns, options.max_width, options.ascii_only)
        yield from console.render(made, options)


@dataclass(frozen=True)
class AtLeast:
    """Something drawn with so many columns though there are fewer."""

    part: RenderableType
    columns: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.update_width(max(self.columns, options.max_width))
        yield from console.render(self.part, wide)


def bold(text: str) -> Text:
    return Text(text, style="bold")
