"""What becomes of the rows of a data file, told without a look at how files are read.

Each row has a word of its own, its mark, in every text.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.data.examples import Example
from model.data.readers import Read

_MARK = re.compile(r"mk\d{4}z")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Form:
    """A kind of data file as it is known here."""

    file: str
    task: str
    header: tuple[str, ...]
    texts: tuple[int, ...]
    label: int
    labels: tuple[str, ...]
    read: Callable[[Path], Read]
    to_label: Callable[[float], float] = float
    quoted: bool = True


def untold(file: Path, read: Read, form: Form) -> list[str]:
    """What became of the rows of a file that is in neither the examples nor the skipped rows."""
    lines = re.split(r"\r\n|\r|\n", _decoded(file.read_bytes()))
    skipped = {row.row for row in read.skipped}
    return [
        *_lost_marks(lines, read.examples, skipped),
        *_lost_lines(lines, read.examples, skipped, form),
        *_joined_rows(lines, read.examples),
    ]


def _lost_marks(lines: Sequence[str], examples: Sequence[Example], skipped: set[int]) -> list[str]:
    """Lines with a mark that no example has, nor a text that an example has, and that nobody names.
    A row over several lines is named once, by its first line."""
    kept = {mark for e in examples for mark in _MARK.findall(f"{e.first} {e.second}")}
    texts = {text for e in examples for text in (e.first, e.second) if text}
    first = next((number for number, line in enumerate(lines, start=1) if line), 0)  # the header
    lost, named = [], set[str]()
    for number, line in enumerate(lines, start=1):
        marks = set(_MARK.findall(line))
        if number in skipped:
            named = marks or {"any"}
        elif marks - kept and not marks <= named:
            if named == {"any"}:
                named = marks
            elif number != first and not any(_is_of(text, line) for text in texts):
                lost.append(f"line {number} is nowhere: {line[:100]!r}")
    return lost[:1]


def _is_of(text: str, line: str) -> bool:
    """Whether a line has an example's text, or the beginning of one that goes over lines."""
    if text in line or text in line.replace('""', '"'):
        return True
    beginning = line.partition('"')[2].replace('""', '"').strip()
    return bool(beginning) and "\n" in text and text.startswith(beginning)


def _lost_lines(
    lines: Sequence[str], examples: Sequence[Example], skipped: set[int], form: Form
) -> list[str]:
    """Lines without a quote and with all cells are rows, each as often as it is there, and each
    with its label."""
    header = _header(lines, form)
    names = [form.header[i] for i in (*form.texts, form.label)]
    if header is None or any(header.count(name) != 1 for name in names):
        return []
    *texts, label = (header.index(name) for name in names)
    there: Counter[tuple[str, ...]] = Counter()
    for number, line in enumerate(lines, start=1):
        cells = line.split("\t")
        if number in skipped or len(cells) != len(header) or cells == header:
            continue
        if (form.quoted and '"' in line) or not _NUMBER.fullmatch(cells[label].strip()):
            continue
        value = form.to_label(float(cells[label]))
        there[(*(cells[i].strip() for i in texts), f"{value:g}")] += 1
    read = Counter(
        (e.first, *(() if e.second is None else (e.second,)), f"{e.label:g}") for e in examples
    )
    lost = there - read
    return [f"{sum(lost.values())} row(s) are nowhere: {next(iter(lost))!r}"[:300]] if lost else []


def _joined_rows(lines: Sequence[str], examples: Sequence[Example]) -> list[str]:
    """Rows that became one, though each had a line of its own."""
    together = [set(_MARK.findall(line)) for line in lines if len(_MARK.findall(line)) > 1]
    for example in examples:
        for text in (example.first, example.second or ""):
            marks = set(_MARK.findall(text))
            if len(marks) > 1 and not any(marks <= one for one in together):
                return [f"rows {sorted(marks)} are one example: {text[:200]!r}"]
    return []


def _header(lines: Sequence[str], form: Form) -> list[str] | None:
    first = next((line for line in lines if line), None)
    if first is None:
        return None
    quoting = csv.QUOTE_MINIMAL if form.quoted else csv.QUOTE_NONE
    try:
        return next(iter(csv.reader([first], delimiter="\t", quoting=quoting)), None)
    except csv.Error:  # A cell of it is larger than csv takes.
        return None


def _decoded(content: bytes) -> str:
    for mark, encoding in (
        (b"\xff\xfe\0\0", "utf-32"),
        (b"\0\0\xfe\xff", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    return content.decode("utf-8-sig", "replace")
