"""Data files that are not what they should be; none of their rows may be lost untold."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from random import Random

from model.data import readers
from model.data.readers import Read
from tests.fuzz import materials, places, rule
from tests.fuzz.lost_rows import Form, untold
from tests.fuzz.mutations import INSERTED, mutated

FORMS = {
    "sst": Form(
        *("ids-sst-train.csv", "sst", ("", "id", "sentence", "sentiment"), (2,), 3),
        *(("0", "1", "2", "3", "4"), readers.read_sst),
    ),
    "quora": Form(
        *("quora-train.csv", "para", ("", "id", "sentence1", "sentence2", "is_duplicate")),
        *((2, 3), 4, ("0.0", "1.0"), readers.read_quora),
    ),
    "sts": Form(
        *("sts-train.csv", "sts", ("", "id", "sentence1", "sentence2", "similarity")),
        *((2, 3), 4, ("0.0", "1.25", "2.5", "3.8", "5.0"), readers.read_sts),
    ),
    "sick": Form(
        "SICK_train.txt",
        "sts",
        ("pair_ID", "sentence_A", "sentence_B", "relatedness_score", "entailment_judgment"),
        *((1, 2), 3, ("1", "2.5", "4.4", "5"), readers.read_sick),
        to_label=lambda related: (related - 1) * 5 / 4,
        quoted=False,
    ),
    "amazon": Form(
        *("amazon-reviews.csv", "sst", ("", "review", "stars"), (1,), 2),
        *(("1", "2", "3", "4", "5"), readers.read_amazon),
        to_label=lambda stars: stars - 1,
    ),
}

_STUDY = materials.STUDY.replace('path = "embedded"', 'path = "data"').replace(
    "epochs = 3", "epochs = 3\nextra_data = [true, false]"
)


def make(folder: Path, chance: Random) -> list[str]:
    """One file, or in one of ten inputs a whole study with it."""
    name = chance.choice([*FORMS])
    form = FORMS[name]
    whole = chance.random() < 0.1
    if whole:
        materials.write_study(folder, _STUDY)
        shutil.copytree(_sound_folder(), folder / "data")
    (folder / "data").mkdir(parents=True, exist_ok=True)
    file = folder / "data" / form.file
    rows = rows_of(form, chance.choice([150, 300, 390]), chance)
    content = written(form, rows, chance.choice(["\n", "\n", "\n", "\r\n"]))
    materials.note(folder, form=name, whole=whole)
    file.write_bytes(content)
    if chance.random() < 0.03:
        return places.displaced(file, chance)
    content, done = mutated(content, chance, _OWN)
    file.write_bytes(content)
    return [f"{name}: {', '.join(done)}"]


def run(folder: Path) -> list[rule.Ending]:
    noted = materials.noted(folder)
    form = FORMS[str(noted["form"])]
    file = folder / "data" / form.file
    found: list[Read] = []
    endings = [rule.call(lambda: found.append(form.read(file)))]
    if found:
        endings += [rule.Ending(0, fault=fault) for fault in untold(file, found[0], form)]
    if noted["whole"]:
        endings.append(rule.verb("plan", folder / "study.toml", "--no-timing"))
    return endings


def rows_of(form: Form, many: int, chance: Random) -> list[list[str]]:
    pool = materials.examples()[form.task]
    rows = []
    for number in range(many):
        mark = f"mk{number:04d}z"
        example = chance.choice(pool)
        texts = [example.first, example.second or example.first][: len(form.texts)]
        row = [mark if name != "" else str(number) for name in form.header]
        for column, text in zip(form.texts, texts, strict=True):
            row[column] = f"{mark} {text}"
        if form.quoted and chance.random() < 0.1:
            more = chance.choice(['said "so"', '"', "over\nlines", "over\n\nmore lines", '5" tall'])
            row[form.texts[0]] += f" {more} there"
        row[form.label] = form.labels[number % len(form.labels)]
        rows.append(row)
    return rows


def written(form: Form, rows: Sequence[Sequence[str]], end: str) -> bytes:
    if not form.quoted:
        return "".join("\t".join(row) + end for row in [form.header, *rows]).encode()
    lines = ["\t".join(_cell(cell) for cell in row) + end for row in [form.header, *rows]]
    return "".join(lines).encode()


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if re.search(r'["\n\t]', text) else text


@cache
def _sound_folder() -> Path:
    """All files of a study's data."""
    folder = materials.workshop() / "data"
    folder.mkdir()
    chance = Random(0)
    for form in FORMS.values():
        for name in {form.file, form.file.replace("-train", "-dev")}:
            (folder / name).write_bytes(written(form, rows_of(form, 40, chance), "\n"))
    return folder


def _at_cell(content: bytes, chance: Random, change: Callable[[bytes], bytes]) -> bytes:
    """One cell of one line changed."""
    lines = content.split(b"\n")
    at = chance.randrange(len(lines))
    cells = lines[at].split(b"\t")
    column = chance.randrange(len(cells))
    cells[column] = change(cells[column])
    lines[at] = b"\t".join(cells)
    return b"\n".join(lines)


def open_quote(content: bytes, chance: Random) -> bytes:
    return _at_cell(content, chance, lambda cell: b'"' + cell)


def close_quote(content: bytes, chance: Random) -> bytes:
    return _at_cell(content, chance, lambda cell: cell + b'"')


def quote_inside(content: bytes, chance: Random) -> bytes:
    return _at_cell(content, chance, lambda cell: cell[:4] + b'"' + cell[4:])


def open_and_close_apart(content: bytes, chance: Random) -> bytes:
    """A quote that opens in one row and one that closes in a later one."""
    lines = content.split(b"\n")
    first = chance.randrange(len(lines))
    last = min(len(lines) - 1, first + chance.choice([1, 1, 2, 3, 50]))
    for at, change in ((first, b'"%s'), (last, b'%s"')):
        cells = lines[at].split(b"\t")
        column = chance.randrange(len(cells))
        cells[column] = change % cells[column]
        lines[at] = b"\t".join(cells)
    return b"\n".join(lines)


def odd_cell(content: bytes, chance: Random) -> bytes:
    """Another text in a cell's place, before it or behind it."""
    odd = chance.choice([*INSERTED, b"", b" ", b"x" * 131_073, b"nan", b"5.0001", b"-0.0", b"1e0"])
    sides = [lambda cell: odd, lambda cell: odd + cell, lambda cell: cell + odd]
    return _at_cell(content, chance, chance.choice(sides))


def swap_cells(content: bytes, chance: Random) -> bytes:
    lines = content.split(b"\n")
    at = chance.randrange(len(lines))
    cells = lines[at].split(b"\t")
    a, b = chance.randrange(len(cells)), chance.randrange(len(cells))
    cells[a], cells[b] = cells[b], cells[a]
    lines[at] = b"\t".join(cells)
    return b"\n".join(lines)


def swap_columns(content: bytes, chance: Random) -> bytes:
    """In the whole file, or in all but its header."""
    lines = [line.split(b"\t") for line in content.split(b"\n")]
    width = max(map(len, lines))
    a, b = chance.randrange(width), chance.randrange(width)
    for cells in lines[chance.choice([0, 0, 1]) :]:
        if max(a, b) < len(cells):
            cells[a], cells[b] = cells[b], cells[a]
    return b"\n".join(map(b"\t".join, lines))


def odd_header(content: bytes, chance: Random) -> bytes:
    header, end, rest = content.partition(b"\n")
    return mutated(header, chance)[0][:10_000] + end + rest


def number_lines(content: bytes, _chance: Random) -> bytes:
    """As some tools write an index before each row."""
    numbers = count()
    return b"\n".join(b"%d\t%s" % (next(numbers), line) for line in content.split(b"\n"))


_OWN: list[Callable[[bytes, Random], bytes]] = [
    *(open_quote, open_quote, close_quote, quote_inside, open_and_close_apart, odd_cell, odd_cell),
    *(swap_cells, swap_columns, odd_header, number_lines),
]
