"""Finds the trials that give no sign of life any more."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_LEAST_SECONDS = 600.0
_TIMES_THE_LONGEST = 10.0
_LONGEST_STEP = 60.0


@dataclass
class _Heard:
    sign: object
    silent_seconds: float = 0.0


class Silence:
    """A trial is silent while its `sign` does not change.

    `limit` is in seconds. Where it is None, it is ten times the longest silence that any trial of
    this search has broken, and at least ten minutes. Time counts where the driver itself was
    awake: after a machine has slept nobody has been silent.
    """

    def __init__(
        self,
        sign: Callable[[str], object],
        limit: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sign, self._limit, self._clock = sign, limit, clock
        self._trials: dict[str, _Heard] = {}
        self._longest = 0.0
        self._checked = clock()

    @property
    def limit(self) -> float:
        """Seconds of silence after which a trial is taken to hang."""
        if self._limit is not None:
            return self._limit
        return max(_LEAST_SECONDS, _TIMES_THE_LONGEST * self._longest)

    def start(self, trial: str) -> None:
        """Note that a worker has begun with a trial."""
        self._trials[trial] = _Heard(self._sign(trial))

    def end(self, trial: str) -> None:
        """Stop listening for a trial, which has no worker any more."""
        self._trials.pop(trial, None)

    def check(self) -> list[str]:
        """The trials that have been silent for too long."""
        now = self._clock()
        passed, self._checked = min(now - self._checked, _LONGEST_STEP), now
        for trial, heard in self._trials.items():
            sign = self._sign(trial)
            heard.silent_seconds += passed
            if sign != heard.sign:
                self._longest = max(self._longest, heard.silent_seconds)
                heard.sign, heard.silent_seconds = sign, 0.0
        return [t for t, heard in self._trials.items() if heard.silent_seconds > self.limit]
