"""Reads the tab-separated files of the three tasks and of their extra data.

Files are as found in the wild. A row that cannot be used is left out and named; a file where that
happens too often, or that is not what it should be, is a `UserError`. Nothing is logged here.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.data.examples import Dataset, Example, SkippedRow
from model.data.table_rows import Cells, TableRows
from spaces.errors import UserError
from spaces.library_failures import brief

MOST_SKIPPED = 0.01
"""The share of a file's rows that may be skipped; with more, the file is not what it should be."""

LONGEST = 131_072
"""The most characters that a sentence may have; what is longer is no sentence."""

_MOST_LISTED = 20  # names of columns

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""What a file's first bytes say of its encoding; UTF-32's little mark begins with UTF-16's."""


@dataclass(frozen=True)
class Read:
    """What a file held: the usable rows in order, and the others by name."""

    examples: tuple[Example, ...]
    skipped: tuple[SkippedRow, ...]


@dataclass(frozen=True)
class Format:
    """What sets one kind of file apart. `second` is None for files of single sentences."""

    first: str
    second: str | None
    label: str
    lowest: float
    highest: float
    whole: bool
    """Whether labels must be whole numbers."""
    to_label: Callable[[float], float] = float
    quoted: bool = True
    """Whether quotes are csv's, or plain characters of the text."""
    quoted_twice: bool = False
    """Whether texts with quotes went through csv's quoting twice."""

    @property
    def columns(self) -> tuple[str, ...]:
        texts = (self.first,) if self.second is None else (self.first, self.second)
        return (*texts, self.label)


SST = Format("sentence", None, "sentiment", 0, 4, whole=True)
QUORA = Format("sentence1", "sentence2", "is_duplicate", 0, 1, whole=True, quoted_twice=True)
STS = Format("sentence1", "sentence2", "similarity", 0, 5, whole=False)
SICK = Format(
    "sentence_A",
    "sentence_B",
    "relatedness_score",
    1,
    5,
    whole=False,
    to_label=lambda relatedness: (relatedness - 1) * 5 / 4,
    quoted=False,
)
AMAZON = Format("review", None, "stars", 1, 5, whole=True, to_label=lambda stars: stars - 1)

SPLITS = {
    "sst": ("ids-sst-{}.csv", SST),
    "para": ("quora-{}.csv", QUORA),
    "sts": ("sts-{}.csv", STS),
}
EXTRA = {"sst": ("amazon-reviews.csv", AMAZON), "sts": ("SICK_train.txt", SICK)}


def read_sst(file: Path) -> Read:
    """Stanford Sentiment Treebank, five classes, the CS 224N split. Raises UserError."""
    return read(file, SST)


def read_quora(file: Path) -> Read:
    """Quora question pairs, 1 for duplicates, the CS 224N split. Raises UserError."""
    return read(file, QUORA)


def read_sts(file: Path) -> Read:
    """STS Benchmark, similarity 0-5, the CS 224N split. Raises UserError."""
    return read(file, STS)


def read_sick(file: Path) -> Read:
    """SICK; its relatedness of 1-5 becomes a similarity of 0-5. Raises UserError."""
    return read(file, SICK)


def read_amazon(file: Path) -> Read:
    """Amazon reviews; 1-5 stars become the classes 0-4. Raises UserError."""
    return read(file, AMAZON)


def read_folder(folder: Path, with_extra: bool = False) -> Dataset:
    """The three tasks' files, and with `with_extra` the two files of extra training data too.

    Raises UserError where the folder lacks a file, or a file is not what it should be.
    """
    data_files(folder, with_extra)
    splits = {
        (task, split): (folder / name.format(split), form)
        for task, (name, form) in SPLITS.items()
        for split in ("train", "dev")
    }
    extra = {task: (folder / name, form) for task, (name, form) in EXTRA.items() if with_extra}
    reads = {key: read(file, form) for key, (file, form) in splits.items()}
    extra_reads = {task: read(file, form) for task, (file, form) in extra.items()}
    return Dataset(
        {
            task: {split: reads[task, split].examples for split in ("train", "dev")}
            for task in SPLITS
        },
        {task: found.examples for task, found in extra_reads.items()},
        tuple(row for found in (*reads.values(), *extra_reads.values()) for row in found.skipped),
    )


def data_files(folder: Path, with_extra: bool = False) -> list[Path]:
    """The files that `read_folder` reads. Raises UserError where the folder lacks one."""
    try:
        is_there = folder.is_dir()
    except OSError as error:
        raise UserError(f"data.path: {brief(folder)} cannot be read: {error.strerror}.") from None
    if not is_there:
        raise UserError(f"{folder} is not a folder; data.path names the folder of the data files.")
    names = [name.format(split) for name, _ in SPLITS.values() for split in ("train", "dev")]
    if with_extra:
        names += [name for name, _ in EXTRA.values()]
    files = [folder / name for name in names]
    if missing := [file.name for file in files if not file.exists()]:
        raise UserError(f"{folder} lacks {', '.join(missing)}; it must hold these data files.")
    return files


def file_content(file: Path) -> bytes:
    """The bytes of a file. Raises UserError where it cannot be read."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{file} does not exist.") from None
    except IsADirectoryError:
        raise UserError(f"{file} is a folder; a data file is needed.") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.") from error


def read(file: Path, form: Format) -> Read:
    """Every row of `file` as an example or as a skipped row. Raises UserError."""
    table = TableRows(_text(file), form.quoted)
    header = _header(file, table, form)
    examples: list[Example] = []
    skipped: list[SkippedRow] = []
    for line, cells in table.rows(header, lambda cells: _stands_alone(cells, header, form)):
        found = cells if isinstance(cells, str) else _example(cells, header, form)
        if isinstance(found, Example):
            examples.append(found)
        else:
            skipped.append(SkippedRow(file.name, line, _short(found, 200)))
    total = len(examples) + len(skipped)
    if total == 0:
        raise UserError(f"{file} has a header line but no rows.")
    if len(skipped) > MOST_SKIPPED * total:
        raise UserError(
            f"{file}: {len(skipped)} of {total} rows cannot be used, more than"
            f" {MOST_SKIPPED:.0%}; the first is line {skipped[0].row}: {skipped[0].why}."
        )
    return Read(tuple(examples), tuple(skipped))


def _header(file: Path, table: TableRows, form: Format) -> Cells:
    header = table.header()
    if isinstance(header, str):
        raise UserError(f"{file}: its header line {header}.")
    if not any(header):
        raise UserError(f"{file} has no header line with the columns {list(form.columns)}.")
    if any("\0" in cell for cell in header):
        raise UserError(f"{file} has zero bytes in its header line; save it as UTF-8.")
    for column in form.columns:
        if header.count(column) > 1:
            raise UserError(f"{file} has the column {column!r} more than once.")
        if column not in header:
            found = _listed(header)
            raise UserError(f"{file} has no column {column!r}; its header line has {found}.")
    return header


def _text(file: Path) -> str:
    content = file_content(file)
    if not content.strip():
        raise UserError(f"{file} is empty.")
    mark = next((mark for mark in _MARKS if content.startswith(mark)), b"")
    try:
        return content.decode(_MARKS.get(mark, "utf-8"))
    except UnicodeDecodeError as error:
        if mark not in (b"", codecs.BOM_UTF8):
            encoding = error.encoding.upper()
            raise UserError(f"{file} begins as {encoding} and is not; save it as UTF-8.") from error
        # utf-8-sig counts from behind the byte order mark.
        offset = error.start + len(content) - len(error.object)
        line = content.count(b"\n", 0, offset) + 1
        raise UserError(
            f"{file} is not UTF-8: line {line}, byte offset {offset}; save it as UTF-8."
        ) from error


def _stands_alone(cells: Cells, header: Cells, form: Format) -> bool:
    """Whether a line is a row, as far as can be told from one that a quote may have opened or
    closed in: it can be used, or has all cells and a number for a label."""
    if len(cells) == len(header):
        label = cells[header.index(form.label)].replace('"', "").strip()
        if _NUMBER.fullmatch(label):
            return True
    return isinstance(_example(cells, header, form), Example)


def _example(cells: Cells, header: Cells, form: Format) -> Example | str:
    """The row's example, or everything that is wrong with the row."""
    if len(cells) > len(header):
        return f"{len(cells)} cells where the header has {len(header)}"
    cells_by_column = dict(zip(header, cells, strict=False))
    texts: list[str] = []
    wrong: list[str] = []
    for column in form.columns[:-1]:
        text = _sentence(cells_by_column.get(column), form)
        texts.append(text)
        if not text:
            wrong.append(f"{column} is {'empty' if column in cells_by_column else 'missing'}")
        elif len(text) > LONGEST:
            wrong.append(f"{column} has {len(text)} characters, more than {LONGEST}")
        elif "\0" in text:
            wrong.append(f"{column} has zero bytes")
    label = _label(cells_by_column.get(form.label, ""), form)
    if isinstance(label, str):
        wrong.append(label)
    if wrong or isinstance(label, str):
        return ", ".join(wrong)
    return Example(texts[0], None if form.second is None else texts[1], label)


def _sentence(cell: str | None, form: Format) -> str:
    text = (cell or "").strip()
    inner = text[1:-1]
    if (
        form.quoted_twice
        and len(text) > 2
        and text[0] == text[-1] == '"'
        # Only a text with quotes of its own is quoted, so the outer pair alone is the text's.
        and '"' in inner
        and not inner.replace('""', "").count('"')
    ):
        return inner.replace('""', '"').strip()
    return text


def _label(cell: str, form: Format) -> float | str:
    """The label, or what is wrong with it."""
    cell = cell.strip()
    if not cell:
        return f"{form.label} is missing"
    # float() alone also takes "nan", "infinity" and "1_0".
    if not _NUMBER.fullmatch(cell):
        return f"{form.label} is no number: {_short(cell)!r}"
    value = float(cell)
    if not form.lowest <= value <= form.highest:
        return f"{form.label} is not from {form.lowest:g} to {form.highest:g}: {_short(cell)}"
    if form.whole and not value.is_integer():
        return f"{form.label} is no whole number: {_short(cell)}"
    return form.to_label(value)


def _listed(header: Cells) -> str:
    """The names of a header line, which may be any line of any file."""
    more = f" and {len(header) - _MOST_LISTED} more" if len(header) > _MOST_LISTED else ""
    return f"{[_short(name) for name in header[:_MOST_LISTED]]}{more}"


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
