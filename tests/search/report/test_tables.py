"""The terminal's tables at 80 columns: nothing wider, nothing that matters cut."""

from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from search.analysis.level_means import level_means
from search.report.tables import best_lines, effects_table, trials_table
from search.trials.record import Record, ranked
from spaces import Space, load_study


@pytest.fixture
def wide() -> tuple[Space, list[Record]]:
    """Trials of the widest study there is, with every factor active."""
    space = load_study("wide").space
    values = {
        **{name: space.config().values()[name] for name in space.free},
        "loss_weighting": "tuned",
        "loss_weights": (0.123456, 0.276544, 0.6),
        "encoder_learning_rate": 1.23456e-05,
    }
    records = [
        Record("0000", values, "stopped", {1: 0.6, 2: 0.65}),
        Record("0001", {**values, "pooling": "max"}, "completed", {1: 0.5, 25: 0.625}),
        Record("0002", {**values, "dropout": 0.2}, "failed", {1: 0.5}, "loss [nan] is nan " * 9),
        Record("0003", {**values, "dropout": 0.3}, "completed", {1: 0.6, 24: 0.8, 25: 0.7}),
        Record("0004", {**values, "warmup": 0.25}, "running", {}),
    ]
    return space, records


def render(table: RenderableType) -> str:
    file = io.StringIO()
    Console(file=file, width=80).print(table)
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    return text


def test_trials_fit_and_are_whole(wide: tuple[Space, list[Record]]) -> None:
    space, records = wide
    words = render(trials_table(records, space)).split()
    for word in ("0004", "0.625", "0.800", "completed", "stopped", "running", "[nan]"):
        assert word in words
    assert "loss_weights=0.12/0.28/0.60" in words
    assert "encoder_learning_rate=1.23e-05" in words
    assert words.count("pooling=max") == 1


def test_trials_beyond_the_limit_are_counted(wide: tuple[Space, list[Record]]) -> None:
    space, records = wide
    text = render(trials_table(records, space, limit=2))
    assert "0003" in text
    assert "0000" not in text
    assert "3 more not shown" in text


def test_the_ranking_compares_only_equal_epochs(wide: tuple[Space, list[Record]]) -> None:
    assert [r.id for r in ranked(wide[1])] == ["0003", "0001", "0000", "0004", "0002"]


def test_a_trial_that_ended_itself_ranks_by_its_last_score(
    wide: tuple[Space, list[Record]],
) -> None:
    early = Record("0005", {}, "completed", {1: 0.8, 2: 0.65})
    assert [r.id for r in ranked([*wide[1], early])][:3] == ["0003", "0005", "0001"]


def test_effects_fit_and_are_whole(wide: tuple[Space, list[Record]]) -> None:
    space, records = wide
    more = [
        Record(
            f"{n:04d}",
            {**records[0].values, "encoder_learning_rate": 1e-05 * 1.37**n, "jaccard": n % 2 == 0},
            "completed",
            {1: 0.5 + n / 100},
        )
        for n in range(5, 17)
    ]
    text = render(effects_table(level_means(records + more, space, 1)))
    words = text.split()
    for name in ("encoder_learning_rate", "loss_weights.para", "trainable_layers", "jaccard"):
        assert name in words
    assert "1.23e-05 to 6.61e-05" in text
    assert "minus" in words
    assert "cannot tell: fewer than two" in " ".join(words)


def test_the_best_is_told_in_lines_that_fit(wide: tuple[Space, list[Record]]) -> None:
    space, records = wide
    lines = best_lines(records, space)
    assert max(map(len, lines)) <= 80
    assert lines[0] == "Best: trial 0003"
    assert "0.700 after epoch 25 of 25, seed 0" in lines[1]
    assert "24, score 0.800" in lines[2]
    assert any(line.split() == ["loss_weights", "0.12/0.28/0.60"] for line in lines)
    part = Record("0000", records[0].values, "running", {0.25: 0.7, 0.75: 0.6})
    assert "0.600 after epoch 0.75 of 25" in best_lines([part], space)[1]
    assert "0.25, score 0.700" in best_lines([part], space)[2]
    assert "0.75" in render(trials_table([part], space)).split()
    assert best_lines([], space) == ["No trial has a score yet."]
