"""Workers that die, hang, or are lost with their node: what the user is told, and what is done.

Tune starts a trial anew whose worker is gone, and it goes on from its checkpoint. What kills its
worker again and again, with nothing new measured in between, is the trial's own failure.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import ray
from ray.tune import Callback

from search.driver.silence import Silence
from search.driver.tune_private import last_error_of, losses_of, worker_of
from search.driver.unsaved import Unsaved
from search.ledger.agenda import Agenda
from search.text.words import duration, epoch_text
from search.worker.helpers import MeetingError

_log = logging.getLogger("ablatune")

RESTARTS = 2  # losses of a trial's worker with nothing new measured in between
_SECONDS_BETWEEN_CHECKS = 5.0
_GONE = "its worker process is gone (killed, crashed or cut off)"


class Faults(Unsaved, Callback):  # type: ignore[misc]
    """Tune's callback that tells of workers' ends, and ends those that hang."""

    def __init__(self, agenda: Agenda, tell: Callable[[str], None]) -> None:
        self._agenda, self._tell = agenda, tell
        hours = agenda.study.resources.silence
        self._silence = Silence(self._sign, None if hours is None else hours * 3600)
        self._checked = time.monotonic()
        self._hung: dict[str, float] = {}  # seconds of silence, of trials whose worker was ended
        self._nodes = _nodes()
        self._ends: dict[str, str] = {}  # how the last worker of a trial ended

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._silence.start(trial.config["id"])

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if time.monotonic() - self._checked < _SECONDS_BETWEEN_CHECKS:
            return
        self._checked = time.monotonic()
        self._look_for_nodes()
        for silent in self._silence.check():
            (trial,) = [t for t in trials if t.config["id"] == silent and not t.is_finished()]
            self._hung[silent] = self._silence.limit
            self._silence.end(silent)
            ray.kill(worker_of(trial))

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        self._look_for_nodes()

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        ours, failures = trial.config["id"], losses_of(trial)
        epoch = self._agenda.records[ours].epoch
        start = f"its checkpoint at or after epoch {epoch_text(epoch)}" if epoch else "the start"
        self._tell(
            f"Trial {ours}: {self._ends.pop(ours, _GONE)}; it goes on from {start} "
            f"(restart {failures} of at most {RESTARTS} in a row)."
        )

    def died(self, trial: Any) -> None:
        """Take note that Tune has lost a trial's worker, and has not yet decided what to do."""
        ours = trial.config["id"]
        self._silence.end(ours)
        error = last_error_of(trial)
        _log.info("trial %s: %s", ours, " ".join(error.split())[:500])
        if ours in self._hung:
            silent = duration(self._hung.pop(ours))
            end = f"nothing was heard of it for {silent}, so its worker process was ended"
        else:
            end = _described(error)
        self._ends[ours] = end

    def reason(self, trial: str) -> str:
        """Why a trial is not started anew, as a clause."""
        return f"{self._ends.pop(trial, _GONE)}, {RESTARTS + 1} times in a row"

    def end(self, trial: str) -> None:
        """Forget a trial that has ended."""
        self._silence.end(trial)

    def _look_for_nodes(self) -> None:
        before, self._nodes = self._nodes, _nodes()
        for node in before.keys() - self._nodes.keys():
            self._tell(
                f"Node {before[node]} was lost; its trials go on on the {len(self._nodes)} node(s) "
                "that are left, as there is room."
            )
        for node in self._nodes.keys() - before.keys():
            self._tell(f"Node {self._nodes[node]} has joined.")

    def _sign(self, trial: str) -> object:
        """Changes with every sign of life: see `search.worker.end_request.Pulse`."""
        try:
            return self._agenda.folder.trial(trial).log.stat().st_mtime_ns
        except OSError:
            return None


def _nodes() -> dict[str, str]:
    """The addresses of the nodes that live, by id."""
    return {n["NodeID"]: n["NodeManagerAddress"] for n in ray.nodes() if n["Alive"]}


def _described(error: str) -> str:
    """Ray's message on the end of a worker, as a clause."""
    if "low on memory" in error or "OutOfMemory" in error:
        return "its node ran out of memory, and its worker process was ended"
    if MeetingError.__name__ in error:
        return "its processes did not find each other"
    return _GONE
