"""Study files that are not what they should be."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import tomli_w

from spaces import STUDIES, UserError, load_study
from tests.fuzz import materials, places, rule
from tests.fuzz.mutations import changed_value, mutated

_MOST_MADE = 2000  # embedded examples that a plan may make: more is right, and takes its time


def make(folder: Path, chance: Random) -> list[str]:
    file = materials.write_study(folder, chance.choice(_texts()))
    if chance.random() < 0.04:
        return places.displaced(file, chance)
    content, done = mutated(file.read_bytes(), chance, _OWN)
    materials.rewrite(file, content)
    return done


def run(folder: Path) -> list[rule.Ending]:
    file = folder / "study.toml"
    endings = [rule.verb("space", file), rule.verb("space", file, "--json")]
    if endings[0].code == 0 and is_small(file):
        endings.append(rule.verb("plan", file, "--no-timing"))
    return endings


def is_small(file: Path, *overrides: str) -> bool:
    try:
        data = load_study(file, overrides).data
    except UserError:
        return True
    return max(data.train, data.dev) <= _MOST_MADE


def _texts() -> list[str]:
    tables = materials.STUDY[: materials.STUDY.index("[space]")]
    packaged = [
        file.read_text(encoding="utf-8").replace("\n[space]", f"\n{tables}[space]")
        for file in sorted(STUDIES.glob("*.toml"))
    ]
    return [materials.STUDY, materials.STUDY, *packaged]


def change_toml_value(content: bytes, chance: Random) -> bytes:
    try:
        document = tomllib.loads(content.decode("utf-8-sig"))
        return tomli_w.dumps(_without_none(changed_value(document, chance))).encode()
    except (ValueError, TypeError, AttributeError, RecursionError):
        return content


def change_key(content: bytes, chance: Random) -> bytes:
    """A slip of the pen in a word."""
    words = [word for word in content.split() if len(word) > 3] or [b"x"]
    word = chance.choice(words)
    at = chance.randrange(len(word))
    return content.replace(word, word[:at] + word[at + 1 :], 1)


def swap_values(content: bytes, chance: Random) -> bytes:
    """A value goes to another key."""
    lines = content.split(b"\n")
    holding = [n for n, line in enumerate(lines) if b" = " in line]
    if len(holding) < 2:
        return content
    a, b = chance.sample(holding, 2)
    (key_a, value_a), (key_b, value_b) = lines[a].split(b" = ", 1), lines[b].split(b" = ", 1)
    lines[a], lines[b] = key_a + b" = " + value_b, key_b + b" = " + value_a
    return b"\n".join(lines)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value if v is not None] if isinstance(value, list) else value


_OWN: list[Callable[[bytes, Random], bytes]] = [
    *(change_toml_value, change_toml_value, change_key, swap_values),
]
