"""The time that searches of a study ran and what they cost, kept with the study."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

from model import write_whole

_SECONDS_BETWEEN_WRITES = 10.0

_log = logging.getLogger("ablatune")


@dataclass(frozen=True)
class Spent:
    """What all searches of a study took together; `cost` in the currency of resources.price."""

    seconds: float = 0.0
    cost: float = 0.0


def read_spent(file: Path) -> Spent:
    """What `file` says was spent; nothing where there is no such file or it cannot be
    understood."""
    try:
        found = Spent(**json.loads(file.read_text(encoding="utf-8")))
        if not all(isinstance(v, int | float) and 0 <= v < math.inf for v in astuple(found)):
            raise ValueError("no numbers from 0 on")
        return found
    except FileNotFoundError:
        return Spent()
    except (OSError, ValueError, TypeError, RecursionError) as error:
        _log.warning("cannot read %s (%s): hours and cost count from now", file, error)
        return Spent()


class Meter:
    """Counts the time and the cost of a search, on top of what `file` holds of earlier ones.

    `price` is what a node costs an hour. Every node of the cluster that is alive counts, whether
    or not it runs a trial of this study.
    """

    def __init__(self, file: Path, price: float | None) -> None:
        self._file, self._price = file, price or 0.0
        self._counted_spent = read_spent(file)  # until then
        self._counted = self._written = time.monotonic()
        self._nodes = 1

    @property
    def spent(self) -> Spent:
        """The time and the cost of all searches of the study until now."""
        seconds = time.monotonic() - self._counted
        cost = self._price * self._nodes * seconds / 3600
        return Spent(self._counted_spent.seconds + seconds, self._counted_spent.cost + cost)

    def tick(self, count_nodes: Callable[[], int]) -> None:
        """Once in ten seconds: write down what was spent, so that a search that is killed forgets
        no more than that, and count the nodes that are to be paid from here on."""
        if time.monotonic() - self._written >= _SECONDS_BETWEEN_WRITES:
            self.write()
            self._nodes = count_nodes()

    def write(self) -> None:
        """Write what was spent into the file, whole or not at all. A failure is logged only, for
        the next call writes everything."""
        now = time.monotonic()
        spent = self._counted_spent = self.spent
        self._written = self._counted = now
        try:
            write_whole(self._file, json.dumps(asdict(spent)) + "\n")
        except OSError as error:
            _log.warning("cannot write %s: %s", self._file, error.strerror)
