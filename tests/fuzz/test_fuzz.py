"""Whatever an input is, the program is done or says one sentence: some dozens of each kind here, as
many as there is time for by `python -m tests.fuzz`."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from model.data.examples import Example, SkippedRow
from model.data.readers import Read, read_sst
from spaces import UserError
from tests.fuzz import rule
from tests.fuzz.__main__ import KIND_NAMES, main
from tests.fuzz.data_files import FORMS, rows_of, written
from tests.fuzz.kinds import KINDS, attempt, prepare
from tests.fuzz.lost_rows import untold

MANY = {"study": 30, "set": 100, "data": 100, "encoder": 60, "journal": 25}
"""Inputs of each kind, in a second or three."""


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("kind", KINDS)
def test_any_input_is_done_or_refused_in_one_sentence(kind: str, tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    for number in range(MANY[kind]):
        folder = tmp_path / f"{number}"
        prepare(kind, 0, number, folder)
        result = attempt(folder)
        outcomes[result.outcome] += 1
        assert not result.faults, (folder, result)
    assert min(outcomes["done"], outcomes["refused"]) > 0, outcomes


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_a_minute_of_each_kind_finds_nothing(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["--only", kind, "--seconds", "60", "--into", str(tmp_path)])
    assert code == 0, capsys.readouterr().out


def test_the_same_seed_makes_the_same_input(tmp_path: Path) -> None:
    contents = []
    for name in ("one", "other"):
        prepare("data", 5, 3, tmp_path / name)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        contents.append([file.read_bytes() for file in files])
    assert contents[0] == contents[1]


def test_a_finding_is_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set(KIND_NAMES) == set(KINDS)
    prepare("data", 0, 0, tmp_path / "input")
    result = attempt(tmp_path / "input")
    assert main(["--again", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == result.outcome


def test_the_rule_knows_what_breaks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(error: BaseException) -> None:
        raise error

    def waits() -> None:
        while True:
            pass

    assert rule.call(lambda: None) == rule.Ending(0)
    refused = rule.call(lambda: raises(UserError("No.")))
    assert (refused.code, refused.err, refused.fault) == (2, "error: No.\n", None)
    fault = rule.call(lambda: raises(ZeroDivisionError("none"))).fault
    assert fault is not None
    assert fault.startswith("ZeroDivisionError in ")
    monkeypatch.setattr(rule, "SECONDS", 0.05)
    assert rule.call(waits).fault == "takes more than 0.05 s"


@pytest.mark.parametrize(
    ("code", "err", "fault"),
    [
        (0, "", None),
        (2, "error: It is wrong.\n", None),
        (2, "ablatune plan: error: argument --nodes: no\n", None),
        (2, "", "exit code 2 without a sentence: ''"),
        (3, "error: It is wrong.\n", "exit code 3"),
        (2, "error: One.\nerror: Two.\n", "more than one sentence"),
        (2, "error: \x1b[31mred.\n", "characters that are not shown: 'error: \\x1b[31mred.'"),
        (0, "Traceback (most recent call last):\n", "a traceback on standard error"),
    ],
)
def test_the_rule_knows_a_sentence(code: int, err: str, fault: str | None) -> None:
    assert rule.broken(code, err) == fault


def sound(folder: Path) -> tuple[Path, Read]:
    form = FORMS["sst"]
    file = folder / form.file
    file.write_bytes(written(form, rows_of(form, 50, Random(0)), "\n"))
    return file, read_sst(file)


def test_rows_that_are_nowhere_are_noticed(tmp_path: Path) -> None:
    file, read = sound(tmp_path)
    assert len(read.examples) == 50
    assert untold(file, read, FORMS["sst"]) == []
    without = dataclasses.replace(read, examples=(*read.examples[:20], *read.examples[21:]))
    assert any("nowhere" in fault for fault in untold(file, without, FORMS["sst"]))
    number = next(
        n for n, line in enumerate(file.read_text().split("\n"), start=1) if "mk0020z" in line
    )
    told = dataclasses.replace(without, skipped=(SkippedRow(file.name, number, "why"),))
    assert untold(file, told, FORMS["sst"]) == []


def test_rows_that_became_one_and_other_labels_are_noticed(tmp_path: Path) -> None:
    file, read = sound(tmp_path)
    one, two, *others = read.examples
    joined = Example(f"{one.first}\n{two.first}", None, two.label)
    faults = untold(file, dataclasses.replace(read, examples=(joined, *others)), FORMS["sst"])
    assert any("are one example" in fault for fault in faults)
    other = dataclasses.replace(one, label=(one.label + 1) % 5)
    assert untold(file, dataclasses.replace(read, examples=(other, two, *others)), FORMS["sst"])
