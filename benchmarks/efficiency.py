"""How soon a search finds the best: ours and others on the same learning curves, in simulated time.

    python -m benchmarks.efficiency [--quick] [--curves FILE] [--workers 4] [--repetitions 30]
        [--epochs 576] [--methods NAME ...] [--start all|own|none] [--seconds-per-epoch S]
        [--processes 2] [--figure FILE] [--json FILE]

The curves are those of FILE (`benchmarks.record_curves` records them), between whose configurations
a surrogate interpolates (`benchmarks.replay.surrogate`); without a file, made-up ones, and the
output says so. Every method is the real thing under its own clock of simulated time: our ledger,
with each declared sampler and scheduler; Ray Tune's OptunaSearch and ASHAScheduler; Optuna with its
successive-halving and Hyperband pruners; Syne Tune's ASHA, BOHB and ASHACQR in its own simulator;
random search, a grid, and the report's 16 configurations, each to the end. All of them halve by the
study's reduction factor from the first epoch on.

What counts is the true score, without noise and at the full budget, of the configuration that a
search would return: of those that it trained furthest, the one with the best observed score. A
search is "there" when that is within half a point of the best known.

`--start` says who tries the default configuration first: all, each method as it does by itself
(`own`: only ours does), or none. Where ours does, it tries the report's best next.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import optuna

from benchmarks import synthetic_curves
from benchmarks.methods.optuna_alone import OptunaAlone
from benchmarks.methods.ours import ours, variants
from benchmarks.methods.ray_tune import RayTune
from benchmarks.methods.syne_tune import METHODS as SYNE
from benchmarks.methods.syne_tune import replay_syne
from benchmarks.methods.to_the_end import ToTheEnd, grid_points, random_points
from benchmarks.replay.anytime import HALF_A_POINT, budgets, summary, worse_at
from benchmarks.replay.anytime_figure import write_figure
from benchmarks.replay.landscape import Landscape
from benchmarks.replay.points import default_point, report_points
from benchmarks.replay.recorded_curves import Budget, Curve, read_curves, replayed_study
from benchmarks.replay.simulated_time import Method, Trace, replay
from benchmarks.replay.surrogate import Surrogate
from spaces import StudyFile, UserError

RANDOM, GRID, REPORT = "random, to the end", "grid, to the end", "the report's 16, to the end"
_QUICK_STUDY = "paper16-continuous"


@dataclass(frozen=True)
class Replay:
    """The settings of one replay, beside the method."""

    study: StudyFile
    landscape: Landscape
    repetition: int
    workers: int
    epochs: int
    seconds: float
    default_first: bool


def methods() -> dict[str, Callable[[Replay], Trace]]:
    """All that are compared, by name, the first of them ours as a study file has it by itself."""
    found: dict[str, Callable[[Replay], Trace]] = {
        name: partial(_ours, sampler=sampler, scheduler=scheduler)
        for name, (sampler, scheduler) in variants().items()
    }
    found["Ray Tune OptunaSearch ASHA"] = _ray
    found["Optuna SuccessiveHalving"] = partial(_optuna, hyperband=False)
    found["Optuna Hyperband"] = partial(_optuna, hyperband=True)
    if importlib.util.find_spec("syne_tune") is not None:
        found |= {f"Syne Tune {name}": partial(_syne, method=name) for name in SYNE}
    return {**found, RANDOM: _random, GRID: _grid, REPORT: _report}


def _replayed(method: Method, given: Replay) -> Trace:
    return replay(
        method, given.landscape, given.repetition, given.workers, given.epochs, given.seconds
    )


def _ours(given: Replay, sampler: str, scheduler: str) -> Trace:
    with ours(given.study, sampler, scheduler, given.repetition, given.default_first) as method:
        return _replayed(method, given)


def _ray(given: Replay) -> Trace:
    study = given.study
    factor = study.search.reduction_factor
    method = RayTune(study.space, study.epochs, factor, given.repetition, given.default_first)
    return _replayed(method, given)


def _optuna(given: Replay, hyperband: bool) -> Trace:
    factor = given.study.search.reduction_factor
    pruner = (
        optuna.pruners.HyperbandPruner(1, given.study.epochs, factor)
        if hyperband
        else optuna.pruners.SuccessiveHalvingPruner(1, factor)
    )
    sampler = optuna.samplers.TPESampler(seed=given.repetition)
    return _replayed(OptunaAlone(given.study.space, sampler, pruner, given.default_first), given)


def _syne(given: Replay, method: str) -> Trace:
    return replay_syne(
        method,
        given.landscape,
        given.study.search.reduction_factor,
        given.repetition,
        given.workers,
        given.epochs,
        given.seconds,
        given.default_first,
    )


def _random(given: Replay) -> Trace:
    points = random_points(given.study.space, given.repetition, given.default_first)
    return _replayed(ToTheEnd(points), given)


def _grid(given: Replay) -> Trace:
    return _replayed(ToTheEnd(grid_points(given.study.space, given.repetition)), given)


def _report(given: Replay) -> Trace:
    return _replayed(ToTheEnd(report_points(given.study.space)), given)


def run(name: str, given: Replay) -> Trace:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return methods()[name](given)


def compare(
    study: StudyFile, landscape: Landscape, names: Sequence[str], options: argparse.Namespace
) -> dict[str, list[Trace]]:
    """Every method's traces, a repetition at a time, so that a disturbance meets all alike."""
    typical = landscape.truth(default_point(study.space)).seconds
    seconds = options.seconds_per_epoch / typical if options.seconds_per_epoch else 1.0
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, spawn) as pool:
        futures: dict[str, list[Any]] = {name: [] for name in names}
        for repetition in range(options.repetitions):
            for name in names:
                given = Replay(
                    study,
                    landscape,
                    repetition,
                    options.workers,
                    options.epochs,
                    seconds,
                    options.start == "all" or (options.start == "own" and name in variants()),
                )
                futures[name].append(pool.submit(run, name, given))
        return {name: [f.result() for f in given] for name, given in futures.items()}


def ratio(mine: float | None, other: float | None, epochs: int) -> str:
    """The ratio of the epochs until two methods were there; a bound where the other one was not
    there after all `epochs`."""
    if mine is None:
        return ""
    return f"{mine / other:.2f}" if other is not None else f"<{mine / epochs:.2f}"


def until(row: Mapping[str, Any]) -> str:
    """A method's epochs until there, and between what their median is with 95% confidence."""

    def number(epochs: float | None) -> str:
        return "never" if epochs is None else f"{epochs:g}"

    low, high = row["median_between"]
    between = f" ({number(low)}-{number(high)})" if low is not None else ""
    return number(row["median_epochs"]) + between


def show(result: Mapping[str, Any]) -> None:
    print(
        f"{result['curves']} curves of {result['study']}: {result['configurations']} "
        f"configurations, {result['full_budget']} epochs each. {result['workers']} workers, "
        f"{result['epochs']} epochs in all, {result['repetitions']} repetitions, "
        f"start: {result['start']}."
    )
    about = result["surrogate"]
    for fit in about["fits"]:
        used = " (used)" if fit["model"] == about["model"] else ""
        print(
            f"surrogate, {fit['model']}{used}: cross-validated error {100 * fit['rmse']:.2f} points"
            f", R2 {fit['r2']:.2f}, rank correlation {fit['rank_correlation']:.2f}, seconds x/÷ "
            f"{fit['seconds_factor']:.2f}"
        )
    noise = about["noise"]
    print(
        f"noise: {100 * noise['run']:.2f} points a run, {100 * noise['evaluation']:.2f} an "
        f"evaluation; best known {about['best']:.4f}\n"
    )
    found = result["methods"]
    first = next(iter(found))
    width = max(map(len, found)) + 1
    print(
        f"{'':{width}}{'epochs until there':>22}{'reached':>9}{'ours /':>8}{'trials':>8}"
        f"{'busy':>7}{'ms/trial':>9}   points below the best, median, after epochs:"
    )
    print(" " * (width + 66) + "".join(f"{epochs:>8}" for epochs in result["budgets"]))
    for name, row in found.items():
        share = ratio(found[first]["median_epochs"], row["median_epochs"], result["epochs"])
        driver = row["method_ms_a_trial"]
        below = [
            "-" if point["median"] is None else f"{100 * (about['best'] - point['median']):.2f}"
            for point in row["anytime"]
        ]
        print(
            f"{name:{width}}{until(row):>22}{row['reached']:>6}/{row['repetitions']:<2}"
            f"{share:>8}{row['trials']:>8g}"
            f"{row['busy']:>7.1%}{'' if driver is None else f'{driver:.1f}':>9}   "
            + "".join(f"{text:>8}" for text in below)
        )
    worse = result["worse_than_random_at"]
    if worse is not None:
        print(f"\n{first} is worse than random after: {worse or 'no budget'}")


def landscape_of(options: argparse.Namespace) -> tuple[Budget, list[Curve]]:
    """The curves of the file, else made-up ones."""
    if options.curves is not None:
        curves = read_curves(options.curves)
    else:
        with tempfile.TemporaryDirectory(prefix="efficiency-") as folder:
            file = Path(folder) / "curves.jsonl"
            synthetic_curves.write(file, _QUICK_STUDY, 64, 7, 9, 0)
            curves = read_curves(file)
    return curves[0].budget, curves


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="few repetitions: about a minute")
    parser.add_argument(
        "--curves", type=Path, metavar="FILE", help="recorded by benchmarks.record_curves"
    )
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--repetitions", type=int, default=30)
    parser.add_argument("--epochs", type=int, help="of a search in all; 64 full trainings")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="the first one is ours")
    parser.add_argument("--start", choices=("all", "own", "none"), default="all")
    parser.add_argument(
        "--seconds-per-epoch", type=float, help="of the default configuration; as recorded"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--figure", type=Path, metavar="FILE", help="an SVG file to write")
    parser.add_argument("--json", type=Path, metavar="FILE", help="a file to add the result to")
    options = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads of each process that is started
    known = methods()
    names = options.methods or list(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"unknown method {unknown[0]!r}; available are {', '.join(known)}")
    try:
        budget, curves = landscape_of(options)
    except UserError as error:
        parser.exit(2, f"{error}\n")
    study = replayed_study(budget.study, budget.epochs, budget.samples)
    if options.quick:
        options.repetitions, options.epochs = 3, options.epochs or 16 * budget.epochs
    options.epochs = options.epochs or 64 * budget.epochs
    landscape = Surrogate(study.space, curves)
    traces = compare(study, landscape, names, options)
    at = budgets(options.epochs, budget.epochs)
    best = landscape.best()
    first = names[0]
    result = {
        "benchmark": "efficiency",
        "curves": budget.kind.upper() if budget.kind != "recorded" else budget.kind,
        "study": budget.study,
        "configurations": len({curve.number for curve in curves}),
        "full_budget": budget.epochs,
        "surrogate": landscape.about(),
        "workers": options.workers,
        "epochs": options.epochs,
        "repetitions": options.repetitions,
        "start": options.start,
        "seconds_per_epoch": options.seconds_per_epoch,
        "within": HALF_A_POINT,
        "budgets": at,
        "methods": {n: summary(runs, best, options.workers, at) for n, runs in traces.items()},
        "worse_than_random_at": worse_at(traces[first], traces[RANDOM], at)
        if RANDOM in traces and first != RANDOM
        else None,
    }
    show(result)
    if options.figure:
        title = f"{result['curves']} curves of {budget.study}, {options.workers} workers"
        write_figure(options.figure, title, traces, best, options.epochs)
    print(json.dumps(result))
    if options.json:
        with options.json.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
