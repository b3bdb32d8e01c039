"""Ctrl-C once: running trials save themselves where they are, then the search ends. Twice: now.

SIGTERM, with which a cluster announces that it takes a machine back, and SIGHUP of a terminal that
is closed count as one Ctrl-C. A cluster whose head is gone counts as one too, while there is time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial

from search.driver.unsaved import Unsaved
from search.nodes.signals import Requests, handling
from search.trials.disk_errors import is_of_disk
from search.worker.end_request import EndRequest

SECONDS_TO_SAVE = 20.0  # Clusters give a process 30 between SIGTERM and SIGKILL.


class Interruption(Unsaved, Callback, Stopper):  # type: ignore[misc]
    """`asked` once the user has, `broken` by what the disk did not take, `is_cut_off` once the
    cluster's head is lost. Tune asks `stop_all` whether the search is over."""

    def __init__(
        self,
        request: EndRequest,
        tell: Callable[[str], None],
        is_lost: Callable[[], bool] = lambda: False,
    ) -> None:
        self.asked = self.is_cut_off = False
        self._is_lost = is_lost
        self.broken: OSError | None = None
        self._request, self._tell = request, tell
        self._signals = Requests()
        self._until: float | None = None
        self._over = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals inside the block, if it runs in the main thread; in another one they are
        not for us."""
        with self._request.possible(), handling(self._hear):
            yield

    @property
    def is_ending(self) -> bool:
        """Whether no trial is to be started any more."""
        return self.asked or self.is_cut_off or self.broken is not None

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Keep a failure of the disk and end the search. If it went on as an exception, Tune would
        only print it."""
        try:
            yield
        except OSError as error:
            if not is_of_disk(error):
                raise
            self.broken = self.broken or error

    def _hear(self, _number: int, _frame: Any) -> None:
        if not self._signals.is_new():
            return
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self.is_cut_off = self.is_cut_off or self._is_lost()
        if not (self.asked or self.is_cut_off):
            return
        running = [trial.config["id"] for trial in trials if trial.status == Trial.RUNNING]
        if self._until is None:
            self._until = time.monotonic() + SECONDS_TO_SAVE
            self._request.make()
            if running:
                why = "Interrupted" if self.asked else "The cluster's head does not answer"
                self._tell(
                    f"{why}: {len(running)} running trial(s) save themselves where they are, "
                    f"which takes at most {SECONDS_TO_SAVE:.0f} s; Ctrl-C again ends at once."
                )
        late = time.monotonic() > self._until
        if running and late and not self._over:
            self._tell(
                f"Not saved in time, to go on from the last checkpoint: trial(s) "
                f"{', '.join(running)}."
            )
        self._over = late or not running

    def stop_all(self) -> bool:
        return self._over or self.broken is not None

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False
