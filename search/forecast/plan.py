"""What a search of a study would take: how long, at what cost, and which choices make it dear."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from random import Random
from statistics import fmean, median

from model import (
    ALL_TASKS,
    Corpus,
    Material,
    Sampling,
    embedding_kind,
    embeds_once,
    epoch_work,
    example_work,
    faster_precision,
    in_precision,
    load_material,
    work_kind,
)
from search.forecast.durations import Costs, Course, Size
from search.forecast.simulation import Ahead, Forecast, forecast
from search.forecast.timed_steps import Timed
from search.forecast.timing import slots_here, time_steps, uses_gpu
from search.trials.distributions import random_points
from search.trials.rungs import Rungs
from spaces import Config, StudyFile, Value

Draw = Callable[[Random], Course]

_SAMPLED = 256  # configurations that stand for the space
_TIMED = 6  # kinds of them that are timed, at most
_DEAREST_FACTORS = 5

# Seconds, about, on two cores: to import the driver's libraries, start and end Ray and write the
# report; between a trial's last report and the next one's beginning; to log and send a report.
_AROUND_SEARCH, _BETWEEN_TRIALS, _AROUND_REPORT = 8.0, 0.1, 0.05
_UNSURE = 0.1  # relative error of any prediction: other load, what the sampler comes to prefer


@dataclass(frozen=True)
class Configuration:
    """A configuration that was timed or predicted, and what it takes to train it to its full
    budget."""

    values: Mapping[str, Value]
    """The values of its active free factors."""
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What a search is predicted to take, all in seconds but `cost`; `None` is what cannot be said.

    `low` and `high` are what it should be between nine times of ten.
    """

    slots: int
    """Trials side by side, on all nodes."""
    precision: str
    """What trials compute in: as asked for, or what is faster on this machine."""
    seconds: float
    low: float
    high: float
    epochs: float
    cost: float | None
    ended_by: str
    """The budget that ends it, where the prediction is right."""
    cheapest: Configuration
    dearest: Configuration
    factors: Mapping[str, Mapping[str, float]]
    """The mean seconds of an epoch at each level of the free factors on which they depend most."""
    timed: int
    """The configurations that were timed."""


def predict(study: StudyFile, material: Material, loading: float, nodes: int = 1) -> Plan | None:
    """Time a few real steps and predict from them; None where a trial does not fit this machine.

    Args:
        study: what would be searched.
        material: its data and encoder.
        loading: the seconds that it took to load these.
        nodes: how many machines like this one the search would have.
    """
    here = slots_here(study.resources)
    if here == 0:
        return None
    slots = slots_here(study.resources, nodes)
    if study.resources.precision == "auto":
        study = in_precision(study, faster_precision(study, material, uses_gpu(study.resources)))
    sampled = sample(study, _SAMPLED)
    configs = [study.space.config(values) for values in sampled]
    sizes = _Sizes(material.corpus)
    layers = material.encoder.shape.layers
    chosen = representatives(configs, layers, sizes)
    found = time_steps(study, chosen, here)
    costs = Costs(layers, sizes)
    for config, timed in zip(chosen, found.timed, strict=True):
        updates = sizes(config).updates
        for one in timed:
            costs.add(config, 1.0, one.update * updates, one.evaluation + one.save + _AROUND_REPORT)
    beside = _Beside(chosen, found.timed, study.resources.processes > 1)
    courses = [beside.of(config, costs.course(config)) for config in configs]
    weight = [course.epoch for course in courses]
    spread = fmean([costs.spread(c) for c in configs], weight) if sum(weight) else 0.0
    around = _AROUND_SEARCH + loading + found.ready
    ahead = _ahead(study, slots, around, nodes)

    def draw(random: Random) -> Course:
        return random.choice(courses)

    result = forecast(ahead, _each_once(courses, ahead.trials) or draw)
    unsure = math.hypot(_UNSURE, 1.645 * spread)
    seconds = around + result.seconds
    full = [course.seconds(0, study.epochs) for course in courses]
    cheap, dear = (full.index(extreme(full)) for extreme in (min, max))
    price = study.resources.price
    return Plan(
        slots=slots,
        precision=study.resources.precision,
        seconds=seconds,
        low=around + result.low * (1 - unsure),
        high=around + result.high * (1 + unsure),
        epochs=result.epochs,
        cost=None if price is None else price * nodes * seconds / 3600,
        ended_by=_ended_by(study, ahead, result),
        cheapest=Configuration(sampled[cheap], full[cheap]),
        dearest=Configuration(sampled[dear], full[dear]),
        factors=dear_factors(study, sampled, [course.epoch for course in courses]),
        timed=len(chosen),
    )


def load_and_predict(study: StudyFile, nodes: int = 1) -> tuple[Material, Plan | None]:
    """Read a study's data and encoder, and predict from them as `predict` does."""
    started = time.perf_counter()
    material = load_material(study)
    return material, predict(study, material, time.perf_counter() - started, nodes)


def _ahead(study: StudyFile, slots: int, around: float, nodes: int) -> Ahead:
    """What lies ahead of a study that has not begun, as far as its budgets allow."""
    search, price = study.search, study.resources.price
    seconds = math.inf if search.hours is None else search.hours * 3600 - around
    if search.cost is not None and price:
        seconds = min(seconds, search.cost / price / nodes * 3600 - around)
    rungs = Rungs.of(study)
    return Ahead(
        slots,
        study.trials,
        study.epochs,
        rungs.levels,
        rungs.reduction_factor,
        promotes=search.scheduler == "promotion",
        seconds=max(seconds, 0.0),
        total_epochs=math.inf if search.total_epochs is None else search.total_epochs,
    )


def _ended_by(study: StudyFile, ahead: Ahead, result: Forecast) -> str:
    if result.trials >= ahead.trials:
        return "trials"
    if result.epochs >= ahead.total_epochs:
        return "total_epochs"
    search, price = study.search, study.resources.price
    if search.cost is None or not price:
        return "hours"
    return "cost" if search.hours is None or search.cost / price < search.hours else "hours"


def _each_once(courses: Sequence[Course], trials: int) -> Draw | None:
    """Draws the courses of a grid's configurations, each of them once; None where there are not as
    many trials as configurations."""
    if trials != len(courses):
        return None
    left: list[Course] = []

    def draw(random: Random) -> Course:
        if not left:
            left.extend(random.sample(courses, len(courses)))
        return left.pop()

    return draw


def sample(study: StudyFile, count: int) -> list[dict[str, Value]]:
    """Points that stand for what a search would draw: of a grid all its points, or of a large one
    as many at random, else random ones; the same each time."""
    if study.sampler == "grid":
        points = list(islice(study.space.grid(), study.trials))
        return points if len(points) <= count else Random(0).sample(points, count)
    return random_points(study.space, count if study.space.free else 1)


def representatives(
    configs: Sequence[Config], layers: int, size: Callable[[Config], Size]
) -> list[Config]:
    """The configurations to time: one of each kind where these are few, else one of the cheapest,
    one of the dearest, and of those that make up most of the work."""
    by_kind: dict[object, list[Config]] = defaultdict(list)
    for config in configs:
        by_kind[work_kind(config)].append(config)
    work: defaultdict[object, float] = defaultdict(float)
    for kind, alike in by_kind.items():
        for config in alike:
            epoch = size(config)
            work[kind] += epoch_work(config, layers, epoch.examples, epoch.updates)
    dearness = {kind: example_work(alike[0], layers) for kind, alike in by_kind.items()}
    extremes = [min(dearness, key=dearness.__getitem__), max(dearness, key=dearness.__getitem__)]
    most = sorted(work, key=work.__getitem__, reverse=True)
    kinds = list(dict.fromkeys([*extremes, *most]))[:_TIMED]
    # A trial that unfreezes gradually begins with less than it comes to.
    return [by_kind[kind][0].replace(unfreezing="none") for kind in kinds]


class _Sizes:
    """An epoch of a configuration on a corpus."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus

    def __call__(self, config: Config) -> Size:
        sampling = Sampling.of(config, ALL_TASKS, self._corpus)
        return Size(sampling.examples_per_epoch, sampling.updates_per_epoch)


class _Beside:
    """What a trial takes beside training and evaluation, as it was timed."""

    def __init__(
        self, configs: Sequence[Config], timed: Sequence[Sequence[Timed]], each_alone: bool
    ) -> None:
        self._each_alone = each_alone
        self._start = median(one.start for by_process in timed for one in by_process)
        self._embedding = [
            median(one.embedding for one in by_process)
            for config, by_process in zip(configs, timed, strict=True)
            if embeds_once(config)
        ]

    def of(self, config: Config, course: Course) -> Course:
        start = self._start + _BETWEEN_TRIALS
        if not embeds_once(config) or not self._embedding:
            return replace(course, start=start)
        once = fmean(self._embedding)
        if self._each_alone:  # Trials of several processes share no embeddings.
            return replace(course, start=start + once)
        return replace(course, start=start, once=once, shares=embedding_kind(config))


def dear_factors(
    study: StudyFile, points: Sequence[Mapping[str, Value]], seconds: Sequence[float]
) -> dict[str, dict[str, float]]:
    """The free factors on which the seconds depend most, with their mean at each level; those with
    an interval are left out, and those that change it by less than a tenth."""
    found: dict[str, dict[str, float]] = {}
    for name, domain in study.space.free.items():
        if domain.levels is None:
            continue
        at: defaultdict[str, list[float]] = defaultdict(list)
        for point, value in zip(points, seconds, strict=True):
            if name in point:
                at[str(point[name])].append(value)
        means = {level: fmean(values) for level, values in at.items()}
        if len(means) > 1 and max(means.values()) > 1.1 * min(means.values()):
            found[name] = means
    ranked = sorted(found, key=lambda n: max(found[n].values()) / min(found[n].values()))
    return {name: found[name] for name in reversed(ranked[-_DEAREST_FACTORS:])}
