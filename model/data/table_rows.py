"""The rows of a tab-separated text whose cells may be quoted, as spreadsheets and csv write them.

A quoted cell may go over several lines. So does, as csv has it, one whose quote was never closed:
it ends at the next quote, wherever that is, and every row before it is gone. Here such a cell costs
its own row only. It is told from one that is rightly quoted over lines by what it would hold: lines
that are rows themselves, or a row that does not come out right.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import accumulate

Cells = Sequence[str]

# Possessive, so that no input takes more than one look at each character.
_QUOTED = re.compile(r'"([^"]*+(?:""[^"]*+)*+)"')
_PLAIN = re.compile(r"[^\t\r\n]*+")


@dataclass(frozen=True, slots=True)
class _Record:
    """`quoted` are the bounds of its quoted cells in the text by column, `end` is behind it."""

    cells: Cells
    quoted: Sequence[tuple[int, int, int]]
    end: int


@dataclass(frozen=True, slots=True)
class _Broken:
    """A row that cannot be read from the column of that number on."""

    column: int
    closed: bool
    """Whether the quote there is closed on its line, and text follows."""


class TableRows:
    """The rows of a text in order; blank lines are none. Where it is not `quoted`, a quote is a
    character as others are."""

    def __init__(self, text: str, quoted: bool) -> None:
        # newline="" leaves line ends as they are; a lone "\r" is one too.
        self._text, self._lines = text, list(StringIO(text, newline=""))
        self._starts = [0, *accumulate(map(len, self._lines))]
        self._quoted = quoted
        self._next = 0

    def header(self) -> Cells | str:
        """The first row, which is one line, or what is wrong with it; no cells where there is
        none. The other rows follow it."""
        number = self._next_line()
        if number is None:
            return []
        found = self._record(number)
        if isinstance(found, _Broken) or self._line_at(found.end) > number:
            return "has a quote that is not closed"
        return found.cells

    def rows(
        self, header: Cells, is_row: Callable[[Cells], bool]
    ) -> Iterator[tuple[int, Cells | str]]:
        """Each row after the header: the line where it starts, from 1, and its cells or why it has
        none. `is_row` says whether a line that was split at its tabs alone would be one, or where
        its first cells are empty the end of one."""
        while (number := self._next_line()) is not None:
            found = self._record(number)
            if isinstance(found, _Record) and (last := self._line_at(found.end)) > number:
                column = self._swallowing(found, len(header), is_row)
                if column is None:
                    self._next = last + 1
                else:
                    found = _Broken(column, closed=False)
            if isinstance(found, _Record):
                yield number + 1, found.cells
            elif found.closed:
                yield number + 1, "text follows a closing quote"
            else:
                name = header[found.column] if found.column < len(header) else "the row"
                yield number + 1, f"{name} has a quote that is never closed"

    def _next_line(self) -> int | None:
        """The number of the next line that is not blank, from 0; None behind the last."""
        while self._next < len(self._lines):
            self._next += 1
            if self._line(self._next - 1):
                return self._next - 1
        return None

    def _line(self, number: int) -> str:
        return self._lines[number].rstrip("\r\n")

    def _record(self, number: int) -> _Record | _Broken:
        """What starts at a line, over as many lines as its quotes ask for."""
        text, at = self._text, self._starts[number]
        line = self._line(number)
        if not self._quoted or '"' not in line:
            return _Record(line.split("\t"), (), at + len(line))
        cells: list[str] = []
        quoted: list[tuple[int, int, int]] = []
        while True:
            if text.startswith('"', at):
                cell = _QUOTED.match(text, at)
                if cell is None:
                    return _Broken(len(cells), closed=False)
                if text[cell.end() : cell.end() + 1] not in ("", "\t", "\r", "\n"):
                    return _Broken(len(cells), closed=self._line_at(cell.end()) == number)
                quoted.append((len(cells), at, cell.end()))
                cells.append(cell[1].replace('""', '"'))
            else:
                cell = _PLAIN.match(text, at)
                assert cell is not None  # It matches nothing at all too.
                cells.append(cell[0])
            at = cell.end()
            if text[at : at + 1] != "\t":
                return _Record(cells, quoted, at)
            at += 1

    def _line_at(self, position: int) -> int:
        return min(bisect_right(self._starts, position), len(self._lines)) - 1

    def _swallowing(
        self, record: _Record, width: int, is_row: Callable[[Cells], bool]
    ) -> int | None:
        """The column whose cell has swallowed rows; None where all are rightly quoted."""
        over_lines = [
            (column, start, end)
            for column, start, end in record.quoted
            if self._line_at(start) < self._line_at(end - 1)
        ]
        if len(record.cells) > width:
            return over_lines[0][0]
        comes_out = is_row(record.cells)
        return next(
            (cell[0] for cell in over_lines if self._has_swallowed(cell, is_row, comes_out)), None
        )

    def _has_swallowed(
        self, cell: tuple[int, int, int], is_row: Callable[[Cells], bool], comes_out: bool
    ) -> bool:
        column, start, end = cell
        first, last = self._line_at(start), self._line_at(end - 1)
        lines = {n: self._line(n).split("\t") for n in range(first, last + 1)}
        begins_as_row = is_row(lines[first])
        # Of its first and last line the cell holds a part, which is not a row's without a tab.
        if begins_as_row and "\t" in self._text[start : self._starts[first + 1]]:
            return True
        # Behind one cell or none, a text with a tab in its last line looks like a row there, which
        # is believed where the whole comes out as none.
        closing = self._text[self._starts[last] : end]
        may_be_row = begins_as_row or column > 1 or not comes_out
        if may_be_row and "\t" in closing and is_row(lines[last]):
            return True
        before = [""] * column  # What a row has before its part that this cell begins.
        return any(is_row(lines[n]) or is_row(before + lines[n]) for n in range(first + 1, last))
