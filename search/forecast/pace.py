"""How fast a study's trials are, from what they wrote, and how much longer it will take."""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path

from search.forecast.durations import Costs, declared_size
from search.forecast.simulation import Ahead, Begun, Forecast, forecast
from search.ledger.budget import used_up
from search.ledger.meter import Spent
from search.trials.record import Record
from search.trials.rungs import Rungs
from search.trials.study_folder import StudyFolder
from search.trials.tally import ENDED, Place, Tally
from spaces import Config, StudyFile

_LAYERS = 12  # only the share of them that is trained counts
_LATEST = 200  # trials that are looked at where a study has many
_REPETITIONS = 9
_TIMES = {"seconds", "examples_per_second"}


class Pace:
    """`take_up` reads what trials wrote since it was last called; `forecast` predicts from it.

    A trial's metrics say how long it trained and evaluated up to each report; between these and the
    times at which its files were written lies what else it took. Nothing is read twice.
    """

    def __init__(self, study: StudyFile, folder: StudyFolder) -> None:
        self._study, self._folder = study, folder
        self._costs = Costs(_LAYERS, declared_size)
        self._read: dict[str, float] = {}  # up to which epoch each open trial was read
        self._ended: set[str] = set()
        self._configs: deque[Config] = deque(maxlen=_LATEST)

    def take_up(self, records: Iterable[Record]) -> None:
        """Read on what these trials wrote; of those that ended the latest are enough."""
        new = [record for record in records if record.id not in self._ended]
        for record in new[-_LATEST:]:
            self._take_up(record)
        self._ended.update(record.id for record in new if record.state in ENDED)

    def forecast(self, tally: Tally, spent: Spent) -> Forecast | None:
        """Predict how long it takes from now to the end of the last trial; None before anything was
        measured."""
        if not self._costs.known:
            return None
        search, rungs = self._study.search, Rungs.of(self._study)
        ending = used_up(self._study, tally, spent)
        to_come = self._study.trials - tally.ended - len(tally.open) if ending is None else 0
        # Trials that are used up leave the paused ones to go on with; what else is leaves nothing.
        is_over = ending is not None and ending.budget != "trials"
        epochs = math.inf if search.total_epochs is None else search.total_epochs - tally.epochs
        reached = {level: tally.reached(level) for level in rungs.levels}
        ahead = Ahead(
            slots=max(1, tally.counts["running"]),
            trials=max(0, to_come),
            epochs=self._study.epochs,
            levels=rungs.levels,
            reduction_factor=rungs.reduction_factor,
            promotes=search.scheduler == "promotion",
            completed=bool(tally.counts["completed"]),
            begun=[self._begun(record, reached) for record in tally.open.values()],
            arrived={level: len(places) for level, places in reached.items()},
            seconds=0.0 if is_over else self._seconds_left(spent),
            total_epochs=epochs,
        )
        courses = [self._costs.course(config) for config in self._configs]
        return forecast(ahead, lambda random: random.choice(courses), _REPETITIONS)

    def _seconds_left(self, spent: Spent) -> float:
        """How many seconds are left until the hours or the cost are used up, at the price so
        far."""
        search = self._study.search
        left = math.inf if search.hours is None else search.hours * 3600 - spent.seconds
        if search.cost is not None and spent.cost:
            left = min(left, (search.cost / spent.cost - 1) * spent.seconds)
        return max(0.0, left)

    def _take_up(self, record: Record) -> None:
        folder = self._folder.trial(record.id)
        known = self._read.get(record.id, 0.0)
        rows = folder.read()
        if not rows or rows[-1]["epoch"] <= known:
            return
        config = self._study.space.config(record.values)
        examples = declared_size(config).examples
        before = 0.0
        for row in rows:
            epochs, before = row["epoch"] - before, row["epoch"]
            if before <= known or not row.keys() >= _TIMES:
                continue
            training = seconds = row["seconds"]
            if not row["examples_per_second"]:  # It fell on the same update as the one before.
                epochs = training = 0.0
            elif config.sampling != "sequential":  # else how many examples is not known here
                training = min(seconds, epochs * examples / row["examples_per_second"])
            self._costs.add(config, epochs, training, seconds - training)
        if not known:
            self._configs.append(config)
        self._read[record.id] = before
        beside = _written(folder.metrics) - _written(folder.path / "config.toml")
        beside -= sum(row.get("seconds", 0.0) for row in rows)
        if beside > 0:  # else it was interrupted, and some of the rows are of the time before
            self._costs.add_overhead(beside / len(rows))

    def _begun(self, record: Record, reached: Mapping[float, list[Place]]) -> Begun:
        course = self._costs.course(self._study.space.config(record.values))
        if record.state == "paused" and (rungs := reached.keys() & record.scores.keys()):
            level = max(rungs)
            place = bisect_left(reached[level], (-record.scores[level], record.id))
            return Begun(course, level, place=place)
        if record.state != "running":
            return Begun(course, record.epoch)
        folder = self._folder.trial(record.id)
        since = max(_written(folder.metrics), _written(folder.path / "config.toml"))
        seconds = time.time() - since if since else 0.0
        return Begun(course, record.epoch, max(0.0, seconds))


def _written(file: Path) -> float:
    """When a file was last written, in seconds since 1970; 0 where there is no such file."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
