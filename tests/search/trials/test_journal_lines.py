"""A journal that something happened to: read as far as it is good, mended, or refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.cli import main
from search.commands.status import summary
from search.ledger.ledger import Ledger
from search.trials.journal_file import mend_journal, read_records
from search.trials.journal_lines import read_lines
from search.trials.record import Record
from search.trials.study_folder import StudyFolder
from spaces import UserError, parse_study

EPOCHS = 4


def opened(path: Path, trials: int = 4) -> Ledger:
    tables = {
        "space": {"epochs": EPOCHS, "warmup": {"low": 0.0, "high": 0.5}, "jaccard": [True, False]},
        "search": {"sampler": "random", "trials": trials, "scheduler": "none"},
    }
    study = parse_study(tables, "s", "s")
    folder = StudyFolder(path)
    folder.open(study)
    return Ledger(study, folder)


def train(ledger: Ledger, trial: Record, until: int = EPOCHS) -> None:
    """As a worker does: into the trial's folder first."""
    folder = ledger.folder.trial(trial.id)
    ledger.start(trial.id)
    folder.start(ledger.study.space.config(trial.values))
    for epoch in range(int(trial.epoch) + 1, until + 1):
        score = random.Random(f"{trial.values} {epoch}").random()
        folder.record(epoch, {"score/mean": score, "seconds": 1.0, "examples_per_second": 9.0})
        ledger.report(trial.id, epoch, score)
    ledger.end(trial.id)


def finish(ledger: Ledger) -> Ledger:
    while trial := ledger.next():
        train(ledger, trial)
    return ledger


def everything(ledger: Ledger) -> list[tuple[Any, ...]]:
    return [(r.id, r.values, r.state, r.scores) for r in ledger.records.values()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return finish(opened(tmp_path_factory.mktemp("whole") / "study"))


@pytest.fixture
def begun(tmp_path: Path) -> Ledger:
    """Two trials are complete, one has two epochs, the fourth is to come."""
    ledger = opened(tmp_path / "study")
    for until in (EPOCHS, EPOCHS, 2):
        trial = ledger.next()
        assert trial is not None
        train(ledger, trial, until)
    return ledger


def lines_of(ledger: Ledger) -> list[bytes]:
    return ledger.folder.journal.read_bytes().splitlines(keepends=True)


def last_score(lines: list[bytes]) -> int:
    """Where the second trial's third score stands."""
    return [n for n, line in enumerate(lines) if b'"step":3,' in line][1]


def blank(lines: list[bytes]) -> list[bytes]:
    return [*lines[:6], b"\n", *lines[6:], b" \r\n", b"\n"]


def garbage_in_the_middle(lines: list[bytes]) -> list[bytes]:
    at = last_score(lines)
    return [*lines[:at], b"oops\n", *lines[at:]]


def a_score_cut_short(lines: list[bytes]) -> list[bytes]:
    at = last_score(lines)
    return [*lines[:at], lines[at][:30] + b"\n", *lines[at + 1 :]]


def an_end_overwritten_by_zeros(lines: list[bytes]) -> list[bytes]:
    at = next(n for n, line in enumerate(lines) if b'"state":1' in line)
    return [*lines[:at], b"\x00" * 50 + b"\n", *lines[at + 1 :]]


def twice(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines for _ in range(2)]


def another_version(lines: list[bytes]) -> list[bytes]:
    at = last_score(lines)
    line = json.dumps({"op_code": 42, "worker_id": "w", "trial_id": 0}).encode()
    return [*lines[:at], line + b"\n", *lines[at:]]


def other_shapes(lines: list[bytes]) -> list[bytes]:
    at = last_score(lines)
    score = {"op_code": 7, "worker_id": "w", "trial_id": 0, "step": 1}
    odd: list[Any] = [
        *([], None, 7, "text", {}, {"op_code": "4"}, {"op_code": True}, score),
        *({**score, "intermediate_value": "high"}, {**score, "intermediate_value": None}),
        *({**score, "trial_id": "0"}, {**score, "step": -1, "intermediate_value": 1.0}),
        {"op_code": 6, "worker_id": "w", "trial_id": 0, "state": 9, "values": None},
        {"op_code": 4, "worker_id": "w", "study_id": 0, "datetime_start": "yesterday"},
    ]
    return [*lines[:at], *(json.dumps(line).encode() + b"\n" for line in odd), *lines[at:]]


def zeros_at_the_end(lines: list[bytes]) -> list[bytes]:
    return [*lines, b"\x00" * 4096]


def garbage_at_the_end(lines: list[bytes]) -> list[bytes]:
    return [*lines, b"oops\n", b"\xff\xfe[[[", b"[" * 5000 + b"\n"]


def without_its_last_end(lines: list[bytes]) -> list[bytes]:
    return [*lines[:-1], lines[-1].rstrip(b"\n")]


def windows(lines: list[bytes]) -> list[bytes]:
    return [b"\xef\xbb\xbf" + lines[0], *(line.replace(b"\n", b"\r\n") for line in lines[1:])]


MENDED = [
    blank,
    garbage_in_the_middle,
    a_score_cut_short,
    an_end_overwritten_by_zeros,
    twice,
    another_version,
    other_shapes,
    zeros_at_the_end,
    garbage_at_the_end,
    without_its_last_end,
    windows,
]


@pytest.mark.parametrize("happened", MENDED)
def test_a_damaged_journal_is_read_mended_and_gone_on_with(
    begun: Ledger, whole: Ledger, happened: Callable[[list[bytes]], list[bytes]]
) -> None:
    """The study ends as an undamaged one does; a score whose line is gone is in the trial's
    folder, and in its record where that had not ended."""
    journal = begun.folder.journal
    damaged = b"".join(happened(lines_of(begun)))
    journal.write_bytes(damaged)
    told = read_records(journal, begun.study.space)  # while a search may run
    assert [r.id for r in told] == ["0000", "0001", "0002"]
    assert summary(begun.study, begun.folder, told)["trials"] == 4
    assert journal.read_bytes() == damaged  # who reads does not write
    assert {file.name for file in begun.folder.path.iterdir()} == {
        "study.toml", "optuna.journal", "trials"
    }  # fmt: skip

    again = opened(begun.folder.path)
    leaves_nothing_out = happened in (without_its_last_end, windows)
    assert (again.mended is None) == leaves_nothing_out
    copies = [*begun.folder.path.glob("optuna.journal.damaged")]
    assert [copy.read_bytes() for copy in copies] == [] if leaves_nothing_out else [damaged]
    finish(again)

    lost = {"0001": {3}} if happened is a_score_cut_short else {}
    assert [(r.id, r.values, r.state) for r in again.records.values()] == [
        row[:3] for row in everything(whole)
    ]
    for record in again.records.values():
        true = whole.records[record.id].scores
        assert record.scores == {e: s for e, s in true.items() if e not in lost.get(record.id, ())}
    storage = JournalStorage(JournalFileBackend(str(journal)))  # as anyone reads it
    assert len(optuna.load_study(study_name="s", storage=storage).trials) == 4
    assert everything(opened(begun.folder.path)) == everything(again)


def a_beginning_that_is_garbage(lines: list[bytes]) -> tuple[list[bytes], int]:
    at = [n for n, line in enumerate(lines) if b'"op_code":4' in line][1]
    return [*lines[:at], b"oops\n", *lines[at + 1 :]], at


def a_beginning_that_is_gone(lines: list[bytes]) -> tuple[list[bytes], int]:
    at = [n for n, line in enumerate(lines) if b'"op_code":4' in line][-1]
    return [*lines[:at], *lines[at + 1 :]], at


def a_value_cut_short(lines: list[bytes]) -> tuple[list[bytes], int]:
    at = [n for n, line in enumerate(lines) if b'"op_code":5' in line][-1]
    return [*lines[:at], lines[at][:60] + b"\n", *lines[at + 1 :]], at


@pytest.mark.parametrize(
    "happened", [a_beginning_that_is_garbage, a_beginning_that_is_gone, a_value_cut_short]
)
def test_where_it_is_not_known_which_trials_the_rest_is_of_the_user_decides(
    begun: Ledger,
    whole: Ledger,
    happened: Callable[[list[bytes]], tuple[list[bytes], int]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = begun.folder
    lines, line = happened(lines_of(begun))
    folder.journal.write_bytes(b"".join(lines))
    with pytest.raises(UserError, match=rf"line {line + 1} .* good line\(s\) behind") as error:
        opened(folder.path)
    assert folder.journal.read_bytes() == b"".join(lines)  # nothing is lost
    assert main(["status", str(folder.path)]) == 0
    assert main(["search", str(folder.file), "--dir", str(folder.path), "--quiet"]) == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert f"head -n {line} " in str(error.value)

    folder.journal.write_bytes(b"".join(lines[:line]))  # as that says
    again = finish(opened(folder.path))
    assert everything(again) == everything(whole)
    # What the cut trials had left is out of the way, not taken for that of others.
    cut = {path.name for path in folder.path.glob("aside/*")}
    assert cut <= {"0001", "0002"}
    assert all((folder.path / "aside" / name / "metrics.jsonl").exists() for name in cut)


def test_a_journal_of_nothing_but_garbage_is_refused(begun: Ledger) -> None:
    begun.folder.journal.write_bytes(b"SQLite format 3\x00\n")
    with pytest.raises(UserError, match="or remove it to have the study begin anew"):
        opened(begun.folder.path)
    assert read_records(begun.folder.journal, begun.study.space) == []


def test_a_journal_that_was_emptied_begins_anew_beside_what_was_there(
    begun: Ledger, whole: Ledger
) -> None:
    begun.folder.journal.write_bytes(b"")
    again = finish(opened(begun.folder.path))
    assert everything(again) == everything(whole)
    aside = begun.folder.path / "aside"
    assert sorted(path.name for path in aside.iterdir()) == ["0000", "0001", "0002"]


def test_a_trial_that_was_enqueued_twice_is_none_that_stands_there_twice(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    storage = JournalStorage(JournalFileBackend(str(journal)))
    study = optuna.create_study(study_name="s", storage=storage)
    for _ in range(2):
        study.enqueue_trial({"x": 0.5})
    for _ in range(2):
        study.ask().suggest_float("x", 0, 1)
    assert read_lines(journal.read_bytes()).is_whole


def test_copies_of_damaged_journals_do_not_replace_each_other(begun: Ledger) -> None:
    for _ in range(2):
        with begun.folder.journal.open("ab") as file:
            file.write(b"oops\n")
        opened(begun.folder.path)
    assert sorted(p.name for p in begun.folder.path.glob("*.damaged*")) == [
        "optuna.journal.damaged",
        "optuna.journal.damaged-2",
    ]


def test_a_journal_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    with pytest.raises(UserError, match=r"Cannot read .*journal: Is a directory\."):
        mend_journal(tmp_path / "journal")


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_to_its_bytes_a_journal_is_mended_or_refused(
    begun: Ledger, seed: int
) -> None:
    """Of lines that are dropped, doubled, moved, cut, or overwritten by anything."""
    draw = random.Random(seed)
    content = bytearray(begun.folder.journal.read_bytes())
    for _ in range(draw.randint(1, 3)):
        at, length = draw.randrange(len(content)), draw.choice([1, 7, 200])
        kind = draw.choice(["drop", "double", "zero", "flip"])
        part = bytes(content[at : at + length])
        content[at : at + length] = {
            "drop": b"",
            "double": part * 2,
            "zero": bytes(len(part)),
            "flip": bytes(draw.randrange(256) for _ in part),
        }[kind]
    begun.folder.journal.write_bytes(content)
    read = read_records(begun.folder.journal, begun.study.space)
    assert len(read) <= 4
    if read_lines(bytes(content)).ends_early:
        with pytest.raises(UserError, match=r"optuna\.journal"):
            opened(begun.folder.path)
        assert begun.folder.journal.read_bytes() == content
        return
    again = opened(begun.folder.path)
    assert len(finish(again).records) >= 4
    assert read_lines(begun.folder.journal.read_bytes()).is_whole


def with_line(content: bytes, wanted: Callable[[dict[str, Any]], bool], **changes: Any) -> bytes:
    """The first line that is wanted with other values."""
    lines = content.splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if wanted(json.loads(line)))
    lines[at] = json.dumps({**json.loads(lines[at]), **changes}).encode() + b"\n"
    return b"".join(lines)


@pytest.mark.parametrize("value", ["x", 0, -1, 2.5, True, None, [1]])
def test_an_attribute_of_ours_that_cannot_be_is_left_out(value: object) -> None:
    line = {"op_code": 2, "worker_id": "w", "study_id": 0, "user_attr": {"steps_per_epoch": value}}
    begin = {"op_code": 0, "worker_id": "w", "study_name": "s", "directions": [2]}
    read = read_lines(b"".join(json.dumps(row).encode() + b"\n" for row in (begin, line)))
    assert [damage.line for damage in read.damages] == [2]
    others = {**line, "user_attr": {"of another program": value}}
    read = read_lines(b"".join(json.dumps(row).encode() + b"\n" for row in (begin, others)))
    assert read.is_whole


def test_a_choice_that_is_none_of_the_options_is_no_line(begun: Ledger) -> None:
    content = begun.folder.journal.read_bytes()

    def is_choice(log: dict[str, Any]) -> bool:
        return log["op_code"] == 5 and log["param_name"] == "jaccard"

    assert read_lines(with_line(content, is_choice, param_value_internal=1)).is_whole
    for place in (2, -1, 0.5, 10**9):
        assert not read_lines(with_line(content, is_choice, param_value_internal=place)).is_whole


def test_a_score_behind_its_trials_end_is_told(begun: Ledger) -> None:
    content = begun.folder.journal.read_bytes()
    logs = [json.loads(line) for line in content.splitlines()]
    end = next(log for log in logs if log["op_code"] == 6 and log["values"])
    score = {"op_code": 7, "worker_id": "w", "trial_id": end["trial_id"], "step": 9}
    late = json.dumps({**score, "intermediate_value": 0.5}).encode() + b"\n"
    (damage,) = read_lines(content + late).damages
    assert (damage.line, damage.why) == (len(logs) + 1, "is of a trial that had ended")
    assert not damage.says_nothing
    assert len(read_lines(content + late).logs) == len(logs)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_score_that_is_no_number_is_no_line(value: float, begun: Ledger) -> None:
    content = begun.folder.journal.read_bytes()
    changed = with_line(content, lambda log: log["op_code"] == 7, intermediate_value=value)
    assert len(read_lines(changed).lost) == 1
