"""What only looks may not end a search: whatever it raises is one line in the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune import Callback

from search.driver.callbacks import Hooks
from search.driver.harmless import Harmless


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture
def log() -> Iterator[Lines]:
    logger, lines = logging.getLogger("ablatune"), Lines()
    logger.addHandler(lines)
    try:
        yield lines
    finally:
        logger.removeHandler(lines)


class Broken(Callback):  # type: ignore[misc]
    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        raise ZeroDivisionError("division\nby zero")

    on_trial_start = on_trial_recover = on_step_end

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        raise KeyError("gone")


class Counting(Callback):  # type: ignore[misc]
    def __init__(self) -> None:
        self.asked: list[str] = []

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self.asked.append("step")

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.asked.append("start")

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.asked.append("recover")

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        self.asked.append("end")


def test_a_callback_that_raises_is_one_line_and_the_others_are_asked(
    log: Lines,
) -> None:
    after = Counting()
    hooks = Hooks({"The view": Broken(), "The rest": after}, Harmless())
    trial = SimpleNamespace(config={"id": "0000"})
    hooks.on_trial_start(iteration=1, trials=[], trial=trial)
    for step in range(3):
        hooks.on_step_end(iteration=step, trials=[])
    hooks.on_trial_recover(iteration=4, trials=[], trial=trial)
    hooks.on_experiment_end(trials=[])
    assert after.asked == ["start", "step", "step", "step", "recover", "end"]
    first, second = log.said
    assert first.startswith(
        "The view failed, and all else goes on without: ZeroDivisionError: division by zero "
        "(test_harmless.py, line "
    )
    assert "KeyError: 'gone'" in second


def test_what_the_user_asks_for_is_not_held_up() -> None:
    with pytest.raises(KeyboardInterrupt), Harmless()("The view"):
        raise KeyboardInterrupt


def test_an_error_of_the_kind_that_matters_is_passed_on(log: Lines) -> None:
    harmless = Harmless()
    with pytest.raises(OSError, match="full"), harmless("The events", but=OSError):
        raise OSError("full")
    with harmless("The events", but=OSError):
        raise ValueError("odd")
    assert len(log.said) == 1
