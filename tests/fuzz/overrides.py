"""Values of `--set`, and other arguments, that are not what they should be."""

from __future__ import annotations

from pathlib import Path
from random import Random

from spaces import factors
from spaces.declare import keys
from spaces.settings import TABLES
from tests.fuzz import materials, rule
from tests.fuzz.mutations import INSERTED, ODD, mutated
from tests.fuzz.study_files import is_small

_WORDS = [
    *("true", "false", "free", "mean", "cls", "[true, false]", '["mean", "cls"]', "1e-5", "0.5"),
    *("{low = 1, high = 2}", "{low = 1e-5, high = 1e-3, log = true}", "[1, 2, 3]", "inf", "nan"),
    *("-1", "0", "1", "2", "100000000000000000000", "1979-05-27", "07:32:00", "'x'", '"""x"""'),
    *("1\nx = 2", "1 # x", "[", "{", "~nobody/x", "..", "/dev/null", "/proc/self/mem", "a" * 300),
    *("{low = 2, high = 1}", "{low = nan, high = inf}", "{low = 0, high = 1, log = true}", "[]"),
    *("[1, 1]", '["mean", "mean"]', "[[0.5, 0.25, 0.25]]", "[0.5, 0.5]", "{low = 1}", "{}", ""),
]


def make(folder: Path, chance: Random) -> list[str]:
    materials.write_study(folder)
    names = [f"{table}.{key}" for table, kind in TABLES.items() for key in keys(kind)]
    names += [*factors(), *(f"space.{name}" for name in factors())]
    overrides = [
        _override(chance.choice(names), chance) for _ in range(chance.choice([1, 1, 2, 3]))
    ]
    more = []
    if chance.random() < 0.1:
        more = ["--nodes", chance.choice([str(odd)[:50] for odd in ODD] + _WORDS)]
    # No argument of a program has zero bytes in it.
    overrides, more = ([text.replace("\0", "") for text in texts] for texts in (overrides, more))
    materials.note(folder, overrides=overrides, more=more)
    return ["--set"] * len(overrides)


def run(folder: Path) -> list[rule.Ending]:
    file, noted = folder / "study.toml", materials.noted(folder)
    overrides, more = noted["overrides"], noted["more"]
    assert isinstance(overrides, list)
    assert isinstance(more, list)
    given = [part for text in overrides for part in ("--set", text)]
    endings = [rule.verb("space", file, *given)]
    if endings[0].code == 0 and is_small(file, *overrides):
        endings.append(rule.verb("plan", file, "--no-timing", *given, *more))
    return endings


def _override(name: str, chance: Random) -> str:
    value = chance.choice([*_WORDS, *(_toml_like(odd) for odd in ODD)])
    if chance.random() < 0.3:
        return mutated(f"{name}={value}".encode(), chance)[0].decode("utf-8", "replace")
    if chance.random() < 0.1:
        name = name.replace(chance.choice(name), "", 1)
    if chance.random() < 0.1:
        value += chance.choice(INSERTED).decode("utf-8", "replace")
    return f"{name}={value}"


def _toml_like(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).replace("'", '"')
