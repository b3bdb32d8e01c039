"""A trial that is asked to end saves itself where it is, and goes on as if nothing had been."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator

from model import (
    ALL_TASKS,
    LAST,
    Corpus,
    InterruptionError,
    Metrics,
    Pretrained,
    Save,
    load_best,
    load_last,
    train,
)
from spaces import Config

TIMES = ("seconds", "examples_per_second")
Run = Callable[..., list[tuple[float, dict[str, float]]]]


@pytest.fixture
def run(corpus: Corpus, pretrained: Pretrained, accelerator: Accelerator) -> Run:
    """Train into a folder until the training has asked `questions` times; the reports."""

    def run(
        config: Config, folder: Path, questions: int | None = None, **more: Any
    ) -> list[tuple[float, dict[str, float]]]:
        reports: list[tuple[float, dict[str, float]]] = []
        asked = 0

        def ask() -> bool:
            nonlocal asked
            asked += 1
            return asked == questions

        def report(epoch: float, metrics: Metrics, save: Save) -> bool:
            save(folder)
            reports.append((epoch, {n: v for n, v in metrics.items() if n not in TIMES}))
            return True

        trial = (config, ALL_TASKS, corpus, pretrained, accelerator, report)
        if questions is None:
            train(*trial, resume=folder, asked_to_end=ask, **more)
        else:
            with pytest.raises(InterruptionError):
                train(*trial, resume=folder, asked_to_end=ask, **more)
        return reports

    return run


CASES: dict[str, dict[str, Any]] = {
    "weighted by its course": {"loss_weighting": "dynamic", "early_stopping": 2},
    "frozen": {"trainable_layers": "none"},
    "gradually unfrozen, with a moving average": {"unfreezing": "gradual", "bregman": True},
}


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_wherever_it_was_asked_it_goes_on_to_the_bit(
    run: Run, tiny: Config, tmp_path: Path, changes: dict[str, Any]
) -> None:
    config = tiny.replace(**changes)
    whole = run(config, tmp_path / "whole", report_at=(0.5,))
    assert [epoch for epoch, _ in whole] == [0.5, 1, 2]
    expected = _state(tmp_path / "whole")
    questions = 0
    while True:  # before updates, and inside evaluations
        questions += 2
        folder = tmp_path / str(questions)
        try:
            before = run(config, folder, questions, report_at=(0.5,))
        except pytest.fail.Exception:  # more than it ever asks
            break
        after = run(config, folder, report_at=(0.5,))
        again = [report for report in after if report in before]
        assert again == before[-1:]  # the last report is told once more, no epoch trained twice
        assert before + after[len(again) :] == whole, questions
        assert _state(folder) == expected
        weights, about = load_best(folder)
        best, about_best = load_best(tmp_path / "whole")
        assert about == about_best
        assert all(weights[name].equal(best[name]) for name in best)
    assert questions >= 10


def test_inside_an_epoch_no_update_is_done_twice(run: Run, tiny: Config, tmp_path: Path) -> None:
    run(tiny, tmp_path, questions=3)
    state = load_last(tmp_path)
    assert state is not None
    assert (state["epoch"], state["updates"]) == (0, 2)
    assert state["examples"] == 2 * 3 * tiny.batch_size
    assert not (tmp_path / "best.safetensors").exists()  # nothing was scored yet


def test_before_the_first_update_there_is_nothing_to_save(
    run: Run, tiny: Config, tmp_path: Path
) -> None:
    run(tiny, tmp_path, questions=1)
    assert not (tmp_path / LAST).exists()


def test_the_time_before_an_interruption_counts(
    tiny: Config, corpus: Corpus, pretrained: Pretrained, accelerator: Accelerator, tmp_path: Path
) -> None:
    seen: list[Metrics] = []
    questions = iter(range(1000))

    def report(epoch: float, metrics: Metrics, save: Save) -> bool:
        seen.append(metrics)
        return False

    trial = (tiny, ALL_TASKS, corpus, pretrained, accelerator, report)
    with pytest.raises(InterruptionError):
        train(*trial, resume=tmp_path, asked_to_end=lambda: next(questions) == 2)
    state = load_last(tmp_path)
    assert state is not None
    spent = state["seconds"]
    train(*trial, resume=tmp_path)
    (metrics,) = seen
    examples = 3 * tiny.batch_size * 4
    assert metrics["seconds"] > examples / metrics["examples_per_second"] > spent > 0


def _state(folder: Path) -> str:
    """What `last.pt` holds, less the measured times, as text that shows every bit."""
    state = load_last(folder)
    assert state is not None
    state["metrics"] = {n: v for n, v in state["metrics"].items() if n not in TIMES}
    return repr(_plain(state))


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
