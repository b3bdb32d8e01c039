"""Tune's callbacks of a study: the bookkeeping, and one that asks all others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ray.tune import Callback

from search.driver.harmless import Harmless
from search.driver.unsaved import Unsaved
from search.ledger.agenda import Agenda
from search.nodes.alive import nodes


class Bookkeeping(Unsaved, Callback):  # type: ignore[misc]
    """Tells the agenda which trials run, and has it count what is spent."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._agenda.start(trial.config["id"])

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._agenda.meter.tick(lambda: len(nodes()))


class Hooks(Unsaved, Callback):  # type: ignore[misc]
    """Tune's one callback: asks each of several in turn, by name. What one of them raises neither
    ends the search nor keeps the others from being asked."""

    def __init__(self, callbacks: Mapping[str, Callback], harmless: Harmless) -> None:
        self._callbacks, self._harmless = callbacks, harmless

    def on_step_end(self, *given: Any, **more: Any) -> None:
        self._ask(lambda callback: callback.on_step_end(*given, **more))

    def on_trial_start(self, *given: Any, **more: Any) -> None:
        self._ask(lambda callback: callback.on_trial_start(*given, **more))

    def on_trial_recover(self, *given: Any, **more: Any) -> None:
        self._ask(lambda callback: callback.on_trial_recover(*given, **more))

    def on_experiment_end(self, *given: Any, **more: Any) -> None:
        self._ask(lambda callback: callback.on_experiment_end(*given, **more))

    def _ask(self, ask: Callable[[Callback], None]) -> None:
        for name, callback in self._callbacks.items():
            with self._harmless(name):
                ask(callback)
