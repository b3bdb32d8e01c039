"""The kinds of input, and one input of a kind from its making to what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fuzz import data_files, encoders, journals, materials, overrides, rule, study_files


@dataclass(frozen=True)
class Kind:
    """`make` writes an input into a folder and says what was done to it, `run` tries it. All that
    `run` needs is in the folder, so that it can be tried again anywhere."""

    make: Callable[[Path, Random], list[str]]
    run: Callable[[Path], list[rule.Ending]]


KINDS = {
    "study": Kind(study_files.make, study_files.run),
    "set": Kind(overrides.make, overrides.run),
    "data": Kind(data_files.make, data_files.run),
    "encoder": Kind(encoders.make, encoders.run),
    "journal": Kind(journals.make, journals.run),
}


@dataclass(frozen=True)
class Result:
    """What came of an input."""

    outcome: str
    """done, refused (exit code 2), failed (exit code 1) or finding."""
    faults: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    """The last line of each verb that was no success."""


def prepare(kind: str, seed: int, number: int, folder: Path) -> None:
    """Write an input and what it is."""
    made = KINDS[kind].make(folder, materials.seeded(seed, kind, number))
    what = {"kind": kind, "seed": seed, "number": number, "made": made}
    (folder / "input.json").write_text(json.dumps(what) + "\n", encoding="utf-8")


def attempt(folder: Path) -> Result:
    """Try the input in a folder."""
    kind = json.loads((folder / "input.json").read_text(encoding="utf-8"))["kind"]
    endings = KINDS[kind].run(folder)
    faults = tuple(dict.fromkeys(rule.faults(endings)))
    codes = {ending.code for ending in endings}
    outcome = (
        "finding" if faults else "failed" if 1 in codes else "refused" if 2 in codes else "done"
    )
    said = [ending.err.strip().rpartition("\n")[2] for ending in endings if ending.code]
    return Result(outcome, faults, tuple(dict.fromkeys(said)))
