"""Whatever the terminal, a number is told whole or not at all."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from search.analysis.factor_effect import FactorEffect
from search.analysis.level_means import level_means
from search.commands.plan import _listed
from search.driver.live_view import LiveView
from search.ledger.ledger import Ledger
from search.report.tables import effects_table, trials_table
from search.text.terminal import tell, terminal
from search.text.words import counted
from search.trials.record import Record
from search.trials.study_folder import StudyFolder
from spaces import Space, parse_study

SPACE = {
    "pair_features": ["absolute difference", "concatenation"],
    "encoder_learning_rate": {"low": 1e-6, "high": 1e-3},
}
WIDTHS = (100, 80, 60, 50, 40, 30, 20)
SCORES = [0.512, 0.523, 0.534, 0.645, 0.656, 0.667]


def records() -> list[Record]:
    return [
        Record(
            f"{n:04d}",
            {
                "pair_features": SPACE["pair_features"][n % 2],  # type: ignore[index]
                "encoder_learning_rate": 1.234e-6 * 2**n,
            },
            "completed",
            {1: 0.4, 1.25: score},
            "[red]é[/] :bug:" if n == 0 else None,
        )
        for n, score in enumerate(SCORES)
    ]


def effects() -> list[FactorEffect]:
    return level_means(records(), Space.parse(SPACE, "here"), 1.25)


def drawn(part: RenderableType, width: int, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
    console = Console(file=file, width=width, markup=False, emoji=False, highlight=False)
    tell(console, part)
    file.flush()
    return file.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", WIDTHS)
def test_trials_have_whole_numbers_at_any_width(width: int) -> None:
    text = drawn(trials_table(records(), Space.parse(SPACE, "here"), limit=5), width)
    words = text.split()
    for score in SCORES[1:]:
        assert words.count(f"{score:.3f}") == 2  # the last one, and the best
    assert words.count("1.25") == 5
    assert ("encoder_learning_rate=3.95e-05" in words) == (width >= 80)
    assert ("configurations" in words) == (width < 80)
    assert "1 more not shown" in " ".join(words)
    if width >= 40:
        assert max(map(cell_len, text.splitlines())) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_effects_have_whole_numbers_at_any_width(width: int) -> None:
    found = effects()
    text = drawn(effects_table(found), width)
    words = text.split()
    for effect in found:
        assert effect.factor in text.replace("\n", "") or width < 30
        for level in effect.levels:
            assert f"{level.mean:.3f}" in words
            assert f"{level.standard_error:.3f}" in words
        (number, *_) = re.findall(r"[+-]\d\.\d{3}", effect.describe())
        assert number in words
    assert {"1.23e-06", "3.95e-05"} <= set(words)
    if width >= 40:
        assert max(map(cell_len, text.splitlines())) <= width


def test_a_terminal_of_ascii_gets_ascii() -> None:
    for width in WIDTHS:
        text = drawn(effects_table(effects()), width, "ascii")
        assert "\\x" not in text
        assert "0.523 +- 0.0" not in text  # of that level
        assert " +- " in text
    text = drawn(trials_table(records(), Space.parse(SPACE, "here")), 80, "ascii")
    assert "[red]\\xe9[/] :bug:" in text


@pytest.mark.parametrize("width", WIDTHS)
def test_a_list_of_what_is_told_has_whole_numbers(width: int) -> None:
    told = {"epochs without stopping": "1234567", "takes": "about 12 min (10 min to 20 min)"}
    words = drawn(_listed(told), width).split()
    assert {"1234567", "12", "20"} <= set(words)


@pytest.fixture
def view(tmp_path: Path) -> LiveView:
    study = parse_study({"space": {"epochs": 9, **SPACE}, "search": {"trials": 3}}, "[v2]", "s")
    folder = StudyFolder(tmp_path / "study")
    folder.open(study)
    ledger = Ledger(study, folder)
    trial = ledger.next()
    assert trial is not None
    ledger.start(trial.id)
    ledger.report(trial.id, 1, 0.512)
    return LiveView(ledger)


@pytest.mark.parametrize("width", [*WIDTHS, 10])
def test_the_live_table_has_whole_numbers_at_any_width(view: LiveView, width: int) -> None:
    for encoding in ("utf-8", "ascii"):
        text = drawn(view._draw(), width, encoding)
        assert "0.512" in text.split()
        assert "[v2]" in text
        assert max(map(cell_len, text.splitlines())) <= max(width, 10)
        assert ("0000" in text.split()) == (width >= 20)
        assert "\\u" not in text


def test_a_dumb_terminal_gets_a_line_now_and_then(
    view: LiveView, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    view._console = Console(stderr=True, force_terminal=True)
    view.start()
    view.on_step_end(1, [])
    view.stop()
    err = capsys.readouterr().err
    assert err.startswith("0/3 trials (1 running); 1 of 27 epochs; best 0.512")
    assert "\x1b" not in err


def test_a_pipe_gets_lines_whatever_is_claimed(
    view: LiveView, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    view._console = terminal(stderr=True)
    view.start()
    view.on_step_end(1, [])
    view.stop()
    assert capsys.readouterr().err.count("\x1b") == 0


def test_text_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    tell(terminal(), "mine[v2]/[/] [bold]:bug:", whole=True)
    assert capsys.readouterr().out == "mine[v2]/[/] [bold]:bug:\n"


def test_one_is_singular() -> None:
    assert [counted(n, "epoch") for n in (0, 1, 1.0, 0.25, 2)] == [
        "0 epochs",
        "1 epoch",
        "1 epoch",
        "0.25 epochs",
        "2 epochs",
    ]
