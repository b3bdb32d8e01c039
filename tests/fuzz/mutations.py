"""What may become of a file's content: by accident, by an editor, by another program."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Mutation = Callable[[bytes, Random], bytes]

INSERTED = [
    *(
        b'"',
        b'""',
        b"'",
        b"\t",
        b"\0",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xff",
        b"\r",
        b"\n",
        b"\r\n",
    ),
    *(b"[", b"]", b"{", b"}", b"[[", b"=", b",", b"#", b"\\", b"\\u0000", b"\\ud800", b"%s", b"{}"),
    *(b"\x1b[31m", b"\x07", b"\x08", b"\x7f", b"\x1a", "\u2028\u202e\u200b".encode()),
    *("\u0085".encode(), b"\x0b", b"\x0c", "é🙂".encode(), b"\xed\xa0\x80", b"[red]", b"[/]"),
    *(b"nan", b"inf", b"-1", b"1e400", b"9" * 400, b"9" * 5000, b"0x10", b"1_0", b"-0", b"1e-400"),
    *(b"true", b"null", b"x" * 200_000, b"[" * 3000, b"{" * 3000, b" " * 1000, b"\n" * 50),
]
"""What is met in files that were not meant so, and what is hard on whoever reads it."""

ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 1.5, -0.0, 1e300, 10**30, 2**31, 2**63, float("nan")),
    *(float("inf"), "", " ", "1", "nan", "x", "é🙂", "a\nb", "\x1b[31m", "[red]", "x" * 5000),
    *([], [0], [[]], ["x"], [1, 2.5, "x"], {}, {"": ""}, {"low": 1}, {"low": 2, "high": 1}),
    *({"low": 1, "high": 2}, {"low": 0, "high": 1, "log": True}, "free", "../..", "\0"),
]
"""Values of every type that a key may be given."""


def mutated(
    content: bytes, chance: Random, own: Sequence[Mutation] = ()
) -> tuple[bytes, list[str]]:
    """The content after one mutation to four, and their names; `own` are those of a kind of file,
    which are as likely as all others together."""
    done = []
    for _ in range(chance.choice([1, 1, 1, 2, 2, 3, 4])):
        mutation = chance.choice(own if own and chance.random() < 0.5 else GENERAL)
        content = mutation(content, chance)
        done.append(mutation.__name__)
    return content, done


def _place(content: bytes, chance: Random) -> int:
    return chance.randint(0, len(content))


def flip_bits(content: bytes, chance: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 8]) if changed else 0):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def change_bytes(content: bytes, chance: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 8]) if changed else 0):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def insert(content: bytes, chance: Random) -> bytes:
    at = _place(content, chance)
    return content[:at] + chance.choice(INSERTED) + content[at:]


def put_before(content: bytes, chance: Random) -> bytes:
    return chance.choice(INSERTED) + content


def put_behind(content: bytes, chance: Random) -> bytes:
    return content + chance.choice(INSERTED)


def cut_out(content: bytes, chance: Random) -> bytes:
    at = _place(content, chance)
    return content[:at] + content[at + chance.choice([1, 1, 2, 10, 100, 5000]) :]


def truncate(content: bytes, chance: Random) -> bytes:
    return content[: _place(content, chance)]


def behead(content: bytes, chance: Random) -> bytes:
    return content[_place(content, chance) :]


def empty(_content: bytes, _chance: Random) -> bytes:
    return b""


def zero_block(content: bytes, chance: Random) -> bytes:
    """As a disk leaves it after a power failure."""
    at, length = _place(content, chance), chance.choice([1, 16, 512, 4096])
    return content[:at] + b"\0" * len(content[at : at + length]) + content[at + length :]


def double_line(content: bytes, chance: Random) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    at = chance.randrange(len(lines))
    to = chance.choice([at, at, chance.randrange(len(lines))])
    return b"".join([*lines[:to], lines[at], *lines[to:]])


def delete_lines(content: bytes, chance: Random) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    at = chance.randrange(len(lines))
    return b"".join([*lines[:at], *lines[at + chance.choice([1, 1, 2, 5]) :]])


def swap_lines(content: bytes, chance: Random) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    a, b = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]
    return b"".join(lines)


def join_lines(content: bytes, chance: Random) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    at = chance.randrange(len(lines))
    lines[at] = lines[at].rstrip(b"\r\n")
    return b"".join(lines)


def double_content(content: bytes, _chance: Random) -> bytes:
    return content + content


def other_line_ends(content: bytes, chance: Random) -> bytes:
    return content.replace(b"\n", chance.choice([b"\r\n", b"\r", b"\n\n", b"\r\r\n"]))


def other_encoding(content: bytes, chance: Random) -> bytes:
    text = content.decode("utf-8", errors="replace")
    return text.encode(
        chance.choice(["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"]), "replace"
    )


def replace_number(content: bytes, chance: Random) -> bytes:
    """One of the digits' runs by something that is no such number."""
    import re

    found = list(re.finditer(rb"[-+\d.]*\d[\d.eE+-]*", content))
    if not found:
        return content
    number = chance.choice(found)
    numbers = [b"nan", b"-1", b"0", b"1e400", b"9" * 20, b"9" * 5000, b"1.5", b"inf", b'"1"', b""]
    return content[: number.start()] + chance.choice(numbers) + content[number.end() :]


GENERAL: list[Mutation] = [
    *(flip_bits, flip_bits, change_bytes, change_bytes, insert, insert, insert, put_before),
    *(put_behind, cut_out, cut_out, truncate, behead, empty, zero_block, double_line, delete_lines),
    *(swap_lines, join_lines, double_content, other_line_ends, other_encoding, replace_number),
]


def change_json_value(content: bytes, chance: Random) -> bytes:
    """One value anywhere in a JSON document, or one key, becomes something else."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return insert(content, chance)
    return json.dumps(changed_value(document, chance)).encode()


def change_json_line(content: bytes, chance: Random) -> bytes:
    """The same in one line of a file of JSON lines."""
    lines = content.splitlines(keepends=True) or [b""]
    at = chance.randrange(len(lines))
    lines[at] = change_json_value(lines[at].strip() or b"{}", chance) + b"\n"
    return b"".join(lines)


def changed_value(document: Any, chance: Random) -> Any:
    """A document of lists and tables with one part of it changed in place: another value, a key
    that goes, a key more, another name."""
    holders = [part for part in _parts(document) if isinstance(part, dict | list) and part]
    if not holders:
        return chance.choice(ODD)
    holder = chance.choice(holders)
    key = chance.choice(list(holder)) if isinstance(holder, dict) else chance.randrange(len(holder))
    what = chance.random()
    if what < 0.7:
        holder[key] = chance.choice(ODD)
    elif what < 0.8:
        del holder[key]
    elif isinstance(holder, list):
        holder.append(chance.choice([*holder, *ODD]))
    elif what < 0.9:
        holder[f"{key}x"] = holder.pop(key)
    else:
        holder[chance.choice(["", "x", "name", f" {key}"])] = chance.choice(ODD)
    return document


def _parts(document: Any) -> list[Any]:
    inner = document.values() if isinstance(document, dict) else document
    below = [] if not isinstance(document, dict | list) else [p for i in inner for p in _parts(i)]
    return [document, *below]
