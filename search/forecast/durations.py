"""What a configuration takes in seconds, from those that were measured."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean, median

from model import embeds_once, epoch_work, example_work, work_kind
from spaces import TASKS, Config

_LATEST = 64  # how many measurements of a kind are kept


@dataclass(frozen=True)
class Course:
    """What a trial of one configuration takes, in seconds."""

    epoch: float
    """Seconds that an epoch of training takes, without evaluations."""
    report: float
    """Seconds that each evaluation takes, with saving and reporting."""
    start: float = 0.0
    """Seconds from when it is handed out to its first update."""
    once: float = 0.0
    """What the first trial of the study that shares `shares` takes more: to embed all sequences."""
    shares: object = None

    def seconds(self, begin: float, end: float) -> float:
        """The seconds from one epoch to another, each of them a report or the beginning, with no
        rung that is part of an epoch in between."""
        reports = math.floor(end) - math.floor(begin) + (end != int(end))
        return (end - begin) * self.epoch + reports * self.report


@dataclass(frozen=True)
class Size:
    """An epoch: its examples, of all tasks together, and its updates."""

    examples: float
    updates: float


def declared_size(config: Config) -> Size:
    """An epoch as the configuration says; where it is all data, which that does not say, one of
    a nominal size, the same for all such configurations."""
    samples = config.samples_per_epoch * len(TASKS)
    if config.sampling == "sequential":
        samples = 100_000
    tasks = len(TASKS) if config.sampling == "balanced" else 1
    return Size(samples, max(1.0, round(samples / (config.batch_size * tasks))))


class Costs:
    """Takes up measurements; `course` is the prediction from them.

    A configuration's epoch is to that of a measured one as their work is
    (`model.training.workload`). Which measured one that is: of the same kind, else of the kind
    whose examples are most nearly as dear. Of a kind the median counts, so that neither the first
    pass of a frozen encoder nor a moment of other load on the machine does.
    """

    def __init__(self, layers: int, size: Callable[[Config], Size]) -> None:
        self._layers, self._size = layers, size
        self._rates: defaultdict[object, deque[float]] = defaultdict(_latest)
        self._reports: defaultdict[object, deque[float]] = defaultdict(_latest)
        self._dearness: dict[object, tuple[bool, float]] = {}  # how dear the examples of a kind are
        self._overheads: deque[float] = _latest()

    def add(self, config: Config, epochs: float, training: float, reporting: float) -> None:
        """So many epochs of a configuration, with one report, took so many seconds. Of none,
        where two reports fall on one update, the report alone is learnt from."""
        kind = work_kind(config)
        self._reports[kind].append(reporting)
        if not epochs:
            return
        self._rates[kind].append(training / (epochs * self._work(config)))
        self._dearness[kind] = embeds_once(config), math.log(example_work(config, self._layers))

    def add_overhead(self, seconds: float) -> None:
        """What a trial took beside training and evaluating, by the number of its reports."""
        self._overheads.append(seconds)

    @property
    def known(self) -> bool:
        """Whether anything was measured."""
        return bool(self._rates)

    def course(self, config: Config) -> Course:
        """What a configuration is expected to take; something must have been measured."""
        kind = self._nearest(config)
        overhead = median(self._overheads) if self._overheads else 0.0
        return Course(
            median(self._rates[kind]) * self._work(config), median(self._reports[kind]) + overhead
        )

    def spread(self, config: Config) -> float:
        """The relative standard error of what was measured of the configuration's kind; 0 where
        that was measured once."""
        rates = self._rates[self._nearest(config)]
        if len(rates) < 2:
            return 0.0
        centre = mean(rates)
        variance = sum((rate - centre) ** 2 for rate in rates) / (len(rates) - 1)
        return math.sqrt(variance / len(rates)) / centre

    def _nearest(self, config: Config) -> object:
        kind = work_kind(config)
        if kind in self._rates:
            return kind
        once, dear = embeds_once(config), math.log(example_work(config, self._layers))

        def distance(other: object) -> tuple[bool, float]:
            other_once, other_dear = self._dearness[other]
            return other_once != once, abs(other_dear - dear)

        return min(self._dearness, key=distance)

    def _work(self, config: Config) -> float:
        size = self._size(config)
        return epoch_work(config, self._layers, size.examples, size.updates)


def _latest() -> deque[float]:
    return deque(maxlen=_LATEST)
