"""The command line: what it prints where, how it exits, and what it leaves alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from search.cli import main
from search.commands import plan as show_plan
from search.commands import search as verbs
from search.ledger.ledger import Ledger
from search.trials.study_folder import StudyFolder
from spaces import StudyFile, factors, factors_markdown, load_study, study_schema

Tables = dict[str, dict[str, Any]]
FREE = {"pooling": ["mean", "cls"], "jaccard": [True, False]}

HELP = """
import sys, time
from search.cli import main
try:
    main(["--help"])
except SystemExit as end:
    assert end.code == 0
heavy = {"torch", "ray", "optuna", "rich", "transformers", "numpy", "tensorboard"}
print(time.process_time(), sorted(heavy & set(sys.modules)), file=sys.stderr)
"""


@pytest.fixture
def study_file(tmp_path: Path, tiny_tables: Callable[..., Tables]) -> Path:
    file = tmp_path / "mine.toml"
    file.write_text(tomli_w.dumps(tiny_tables(space=FREE, search={"trials": 3})))
    return file


@pytest.fixture
def searched(tmp_path: Path, study_file: Path) -> Path:
    """A study's folder with one trial completed, one stopped and one begun."""
    study = load_study(study_file)
    folder = StudyFolder(tmp_path / "searched")
    folder.open(study)
    ledger = Ledger(study, folder)
    for scores in ([0.3, 0.4, 0.5], [0.2], []):
        trial = ledger.next()
        assert trial is not None
        trial_folder = folder.trial(trial.id)
        trial_folder.start(study.space.config(trial.values))
        for epoch, score in enumerate(scores, start=1):
            named = {f"score/{name}": score for name in ("mean", "sst", "para", "sts")}
            trial_folder.record(epoch, {**named, "seconds": 1.0, "examples_per_second": 120.0})
            ledger.report(trial.id, epoch, score)
        ledger.end(trial.id)
    return folder.path


def exit_code(arguments: Sequence[str | Path]) -> int:
    try:
        return main(list(map(str, arguments)))
    except SystemExit as end:  # argparse's
        return int(end.code or 0)


def json_of(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Any:
    """The one JSON document that a verb prints on standard output."""
    assert exit_code([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def files_below(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HELP], capture_output=True, text=True, timeout=60, check=True
    )
    seconds, heavy = ended.stderr.strip().split(" ", 1)
    assert heavy == "[]"
    assert float(seconds) < 0.5
    assert "quickstart" in ended.stdout
    for verb in ("space", "plan", "search", "status", "report", "compare"):
        assert f"\n    {verb} " in ended.stdout


def test_space_tells_every_factor(capsys: pytest.CaptureFixture[str], study_file: Path) -> None:
    rows = json_of(capsys, "space")
    assert [row["factor"] for row in rows] == list(factors())
    assert {row["here"] for row in rows} == {None}
    rows = json_of(capsys, "space", study_file)
    here = {row["factor"]: row["here"] for row in rows}
    assert here["pooling"] == 'free, one of "mean", "cls"'
    assert here["batch_size"] == "8"
    assert exit_code(["space", study_file]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in factors())


def test_space_prints_the_table_and_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["space", "--markdown"]) == 0
    assert capsys.readouterr().out == factors_markdown()
    assert exit_code(["space", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(study_schema()))


def test_plan_counts(capsys: pytest.CaptureFixture[str], study_file: Path) -> None:
    planned = json_of(capsys, "plan", study_file, "--no-timing", "--set", "search.trials=50")
    assert planned["study"] == "mine"
    assert planned["configurations"] == 4
    assert planned["trials"] == 4  # none twice
    assert planned["epochs_without_stopping"] == 12
    assert planned["rungs"] == [1]
    counted = planned["examples"]["sst"]
    assert (counted["train"], counted["dev"]) == (64, 32)
    grid = json_of(
        capsys,
        "plan",
        study_file,
        "--set",
        "search.sampler=grid",
        "--set",
        "search.trials=50",
        "--no-timing",
    )
    assert grid["trials"] == 4
    endless = json_of(
        capsys, "plan", study_file, "--set", "warmup={low = 0.1, high = 0.2}", "--no-timing"
    )
    assert endless["configurations"] is None
    assert endless["trials"] == 3
    assert exit_code(["plan", study_file, "--no-timing"]) == 0
    assert "mine" in capsys.readouterr().out


def test_what_only_shows_writes_nothing(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    study_file: Path,
    searched: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = files_below(tmp_path)
    for arguments in (
        ["space", study_file],
        ["space", "--markdown"],
        ["space", "--schema"],
        ["plan", study_file, "--no-timing"],
        ["status", searched],
        ["status", searched, "--json"],
    ):
        assert exit_code(arguments) == 0, capsys.readouterr().err
    assert files_below(tmp_path) == before


def test_status_tells_where_a_study_stands(
    capsys: pytest.CaptureFixture[str], searched: Path
) -> None:
    state = json_of(capsys, "status", searched)
    assert state["study"] == "searched"
    assert state["trials"] == 3
    assert state["states"] == {"completed": 1, "stopped": 1, "running": 1}
    assert state["epochs"] == 4
    assert state["rungs"] == {"1": 2}
    assert state["running"] is False
    assert state["seconds_left"] is None
    assert state["seconds"] == 0
    assert state["ending"]["budget"] == "trials"
    sentence = "No new trial starts, 1 will finish: by search.trials = 3: 3 trials."
    assert state["ending"]["sentence"] == sentence
    assert state["best"]["id"] == "0000"
    assert state["best"]["last_score"] == 0.5
    assert state["best"]["values"] == {"pooling": "mean", "jaccard": True}
    assert exit_code(["status", searched]) == 0
    shown = capsys.readouterr().out
    assert "3 of 3 trials (1 completed, 1 stopped, 1 running)" in shown
    assert "no search is running" in shown
    assert sentence in shown


def test_parts_of_epochs_are_told_as_such(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, study_file: Path
) -> None:
    overrides = ["search.grace_epochs=0.25"]
    planned = json_of(capsys, "plan", study_file, "--no-timing", "--set", *overrides)
    assert planned["rungs"] == [0.25, 0.75, 2.25]
    study = load_study(study_file, overrides)
    folder = StudyFolder(tmp_path / "parts")
    folder.open(study)
    ledger = Ledger(study, folder)
    for epochs in ((0.25, 0.75, 1), (0.25,)):
        trial = ledger.next()
        assert trial is not None
        folder.trial(trial.id).start(study.space.config(trial.values))
        for epoch in epochs:
            ledger.report(trial.id, epoch, 0.5)
    state = json_of(capsys, "status", folder.path)
    assert state["epochs"] == 1.25
    assert state["rungs"] == {"0.25": 2, "0.75": 1, "2.25": 0}
    assert state["best"]["epoch"] == 1
    assert exit_code(["status", folder.path]) == 0
    shown = capsys.readouterr().out
    assert "1.25 epochs spent; 9 without stopping" in shown
    assert "rung at epoch 0.75: 1 trial\n" in shown


def test_status_says_that_a_search_is_running(
    capsys: pytest.CaptureFixture[str], searched: Path
) -> None:
    with StudyFolder(searched).locked():
        state = json_of(capsys, "status", searched)
        assert exit_code(["status", searched]) == 0
    assert state["running"] is True
    assert state["seconds_left"] > 0
    assert state["seconds_left_between"][0] <= state["seconds_left"]
    assert "a search is running" in capsys.readouterr().out


def test_report_names_its_page(capsys: pytest.CaptureFixture[str], searched: Path) -> None:
    reported = json_of(capsys, "report", searched)
    assert reported["report"] == str(searched / "report" / "index.html")
    assert (searched / "report" / "index.html").is_file()
    assert reported["best"]["id"] == "0000"
    assert exit_code(["report", searched]) == 0
    assert "Best: trial 0000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["plan", "nowhere.toml"], "There is no study file nowhere.toml"),
        (["space", "nowhere"], "There is no study file nowhere"),
        (["plan", "{study}", "--set", "search.trails=3"], "did you mean 'search.trials'?"),
        (["plan", "{study}", "--set", "search.trials=many"], "search.trials|trials must be"),
        (["plan", "{study}", "--set", "poling=cls"], "did you mean 'pooling'?"),
        (["plan", "{study}", "--set", "trainable_layers=24"], "trainable_layers allows 24"),
        (["plan", "{study}", "--set", "data.path=nowhere"], "nowhere"),
        (["plan", "{study}", "--set", "encoder.name={folder}"], "is no checkpoint"),
        (["search", "{study}", "--dir", "{study}"], "Cannot write to {study}"),
        (["search", "{study}", "--dir", "{study}/below"], "Cannot write to {study}/below"),
        (["search", "{study}", "--dir", "{searched}", "--set", "epochs=9"], "space.epochs = 3"),
        (["status", "{folder}"], "is no study's folder"),
        (["status", "{study}"], "is no study's folder"),
        (["report", "{folder}"], "is no study's folder"),
        (["compare", "{folder}/nowhere"], "nowhere"),
    ],
)
def test_wrong_input_is_one_sentence_and_2(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    study_file: Path,
    searched: Path,
    arguments: list[str],
    sentence: str,
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()

    def filled(text: str) -> str:
        return text.format(study=study_file, folder=folder, searched=searched)

    code = exit_code([filled(argument) for argument in arguments])

    captured = capsys.readouterr()
    (line,) = [line for line in captured.err.splitlines() if not line.startswith("Reading")]
    assert code == 2
    assert captured.out == ""
    assert line.startswith("error: ")
    assert any(filled(part) in line for part in sentence.split("|")), line
    assert not list(folder.iterdir())


def test_a_study_that_is_wrong_leaves_no_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[search]\ntrails = 3\n")
    assert exit_code(["search", file, "--dir", tmp_path / "run"]) == 2
    assert "did you mean 'trials'?" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "required: VERB"),
        (["serch"], "invalid choice: 'serch'"),
        (["plan"], "required: STUDY"),
        (["plan", "quickstart", "--jsn"], "unrecognized arguments: --jsn"),
        (["space", "--markdown", "--schema"], "not allowed with argument"),
        (["compare", "here", "--port", "high"], "--port: must be a whole number from 0 to 65535"),
        (["compare", "here", "--port", "65536"], "to 65535, but it is 65536"),
        (["plan", "quickstart", "--nodes", "abc"], "from 1 to 100000, but it is abc"),
        (["plan", "quickstart", "--nodes", "9" * 5000], "but it is 9999"),
        (["plan", "quickstart", "--nodes", "0"], "from 1 to 100000, but it is 0"),
        (["plan", "quickstart", "--nodes", "1.5"], "a whole number from 1"),
        (
            ["search", "quickstart", "--dir", ""],
            "argument --dir: must have a name, but it is empty",
        ),
        (["search", ""], "argument STUDY: must have a name"),
        (["report", " "], "argument DIR: must have a name"),
        (["compare", "here", ""], "argument DIR: must have a name"),
    ],
)
def test_a_wrong_verb_or_flag_is_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert exit_code(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err.splitlines()[-1]
    assert len(captured.err.splitlines()[-1]) < 200
    assert "_" not in captured.err.splitlines()[-1]
    assert "Traceback" not in captured.err


@pytest.mark.parametrize("place", ["study", "--set", "--dir"])
def test_an_argument_that_is_no_text_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, place: str
) -> None:
    """As Python reads the bytes of a name in Latin-1."""
    odd = str(tmp_path / "caf\udce9")
    arguments = {
        "study": ["plan", odd],
        "--set": ["plan", "quickstart", "--set", f"data.path={odd}"],
        "--dir": ["search", "quickstart", "--dir", odd],
    }
    assert exit_code(arguments[place]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert "is not text in utf-8; name files" in captured.err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def named_like_markup(tmp_path: Path, searched: Path) -> Path:
    """The study's folder under a name that has brackets, a colon, and more than ASCII."""
    folder = tmp_path / "mine[v2] :bug: [red]é"
    searched.rename(folder)
    return folder


def test_names_are_told_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, named_like_markup: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    for verb in ("status", "report"):
        assert exit_code([verb, named_like_markup]) == 0
        out = capsys.readouterr().out
        expected = named_like_markup.name if verb == "status" else str(named_like_markup)
        assert expected in out


@pytest.mark.parametrize("verb", ["status", "report", "plan", "space", "space --markdown"])
@pytest.mark.parametrize(
    "surroundings",
    [
        {"PYTHONIOENCODING": "ascii", "COLUMNS": "60"},
        {"LANG": "C", "LC_ALL": "C", "COLUMNS": "40"},
        {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C", "TERM": "dumb"},
    ],
)
def test_ascii_and_narrow_terminals_get_less_and_never_wrong(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    named_like_markup: Path,
    study_file: Path,
    verb: str,
    surroundings: dict[str, str],
) -> None:
    for name, value in {"NO_COLOR": "1", **surroundings}.items():
        monkeypatch.setenv(name, value)
    is_ascii = "LANG" not in surroundings
    out = TextIOWrapper(BytesIO(), encoding="ascii" if is_ascii else "utf-8")
    monkeypatch.setattr(sys, "stdout", out)
    study = [study_file, "--no-timing"] if verb == "plan" else [study_file]
    folder = [named_like_markup]
    arguments = folder if verb in ("status", "report") else study
    assert exit_code([*verb.split(), *([] if "--markdown" in verb else arguments)]) == 0
    out.flush()
    text = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert capsys.readouterr().err == ""
    if verb in ("status", "report"):
        words = text.split()
        for word in ("0000", "completed", "0.500", "0001", "stopped", "0.200"):
            assert word in words
    if verb == "report":
        assert ("\xb1" in text) != is_ascii
        assert ("0.400 +- 0.100" in text) == is_ascii or "0.400" not in text
    if verb in ("plan", "space"):
        assert "loss_weighting" in text or "examples" in text


def test_a_search_of_which_every_trial_failed_is_1_with_one_sentence(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    study_file: Path,
) -> None:
    """Some that did not fail, or none at all, are a search that is done."""

    def ended(*failures: str | None) -> Callable[..., None]:
        def run(study: StudyFile, folder: StudyFolder, *_: object) -> None:
            folder.open(study)
            ledger = Ledger(study, folder)
            for failure in failures:
                trial = ledger.next()
                assert trial is not None
                folder.trial(trial.id).start(study.space.config(trial.values))
                ledger.end(trial.id, failure)

        return run

    module = import_module("search.driver.run")
    why = "the training loss of sst is nan [sic]"
    for number, (failures, code) in enumerate(
        [((why, why), 1), ((why,), 1), ((why, None), 0), ((None,), 0), ((), 0)]
    ):
        monkeypatch.setattr(module, "run", ended(*failures))
        for options in ([], ["--json"]):
            folder = tmp_path / f"{number}{''.join(options)}"
            assert exit_code(["search", study_file, "--dir", folder, *options]) == code
            captured = capsys.readouterr()
            if options:
                assert json.loads(captured.out)["folder"] == str(folder)
            which = f"All 2 trials failed, trial 0000: {why}"
            if len(failures) == 1:
                which = f"The one trial failed, {why}"
            sentence = f"error: {which}; {folder / 'log.txt'} says more.\n"
            assert captured.err == (sentence if code else "")


def test_an_interrupt_is_130_and_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    for module in (verbs, show_plan):
        monkeypatch.setattr(module, "load_study", interrupted)
    monkeypatch.setattr(signal, "signal", lambda *arguments: None)  # it is this process's too
    assert exit_code(["search", "quickstart", "--dir", tmp_path / "run"]) == 130
    captured = capsys.readouterr()
    assert captured.err == (
        f"Interrupted. The same command with --dir {tmp_path / 'run'} goes on from here.\n"
    )
    assert captured.out == ""

    assert exit_code(["plan", "quickstart"]) == 130
    assert capsys.readouterr() == ("", "Interrupted.\n")


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    buffered = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        [sys.executable, "-m", "search.cli", "space", "--schema"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=buffered,
        pipesize=4096,  # less than is printed, so that it cannot be done with before we go
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"{\n"
        process.stdout.close()
        errors = process.stderr.read()
        process.wait(timeout=60)
    assert errors == b""


def test_a_study_is_named_by_its_file(study_file: Path) -> None:
    study: StudyFile = load_study(study_file)
    assert study.name == "mine"


def test_ctrl_c_while_the_libraries_are_imported_is_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "search.cli", "plan", "quickstart"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        maps = Path(f"/proc/{process.pid}/maps")
        deadline = time.monotonic() + 60
        while "libtorch" not in maps.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out, err) == ("", "Interrupted.\n")
