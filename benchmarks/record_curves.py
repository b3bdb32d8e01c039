"""Learning curves of many configurations: recorded once, and read by `benchmarks.efficiency`.

    python -m benchmarks.record_curves record --study STUDY --results FILE [--data FOLDER]
        [--configurations 64] [--replicates 7] [--epochs 9] [--samples 256] [--dev 500]
        [--seed 0] [--workers 2]

Draws configurations of the study's space at random (the first is the default one), trains each to
the end with `model.train` on one thread, and adds a line to FILE for each: its values, the
scores of every epoch, the CPU seconds of every epoch. What FILE holds already is not trained again:
an interrupted recording goes on. `--replicates` trains the default configuration with so many other
seeds, which tells how far the seed alone moves a score.

An epoch is `--samples` examples a task, and the scores are of at most `--dev` examples of each
task's dev split, evenly spaced: with the defaults a configuration of paper16-continuous costs about
80 CPU seconds on the packaged encoder, so that all of them take about 50 minutes on two cores.
`early_stopping` is off, so that every curve is whole.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from benchmarks.replay.recorded_curves import (
    RECORDED,
    SCORES,
    Budget,
    Curve,
    point,
    read_curves,
    replayed_study,
    wanted,
)
from model import (
    ALL_TASKS,
    DEV,
    Corpus,
    DivergenceError,
    Material,
    Metrics,
    Save,
    load_material,
    make_accelerator,
    release_memory,
    train,
    write_whole,
)
from spaces import UserError, Value, load_study


def smaller_dev(corpus: Corpus, most: int) -> Corpus:
    """The corpus with at most so many dev examples of each task, evenly spaced."""
    splits = {}
    for task, by_split in corpus.splits.items():
        count = len(by_split[DEV])
        chosen = np.linspace(0, count - 1, min(most, count)).round().astype(np.int64)
        splits[task] = {**by_split, DEV: by_split[DEV].rows(chosen)}
    return Corpus(corpus.tokens, corpus.offsets, splits, corpus.separators)


@cache
def _material(study: str, data: str, dev: int) -> tuple[Material, Corpus]:
    material = load_material(load_study(study, [f"data.path={data}"]))
    return material, smaller_dev(material.corpus, dev)


def trained(
    budget: Budget, number: int, seed: int, values: Mapping[str, Value], data: str
) -> Curve:
    """Train a configuration to the end, or to where it diverges; the seconds are CPU time,
    evaluation included."""
    torch.set_num_threads(1)
    material, corpus = _material(budget.study, data, budget.dev)
    space = replayed_study(budget.study, budget.epochs, budget.samples).space
    scores: dict[str, list[float]] = {name: [] for name in SCORES}
    marks = [time.process_time()]

    def report(epoch: float, metrics: Metrics, save: Save) -> bool:
        marks.append(time.process_time())
        for name in SCORES:
            scores[name].append(round(metrics[f"score/{name}"], 6))
        return True

    failure = None
    config = space.config(values, seed=seed)
    try:
        train(config, ALL_TASKS, corpus, material.encoder, make_accelerator(), report)
    except DivergenceError as error:
        failure = str(error)
        marks.append(time.process_time())  # what the epoch cost until then
    release_memory()
    seconds = [round(after - before, 3) for before, after in pairwise(marks)]
    return Curve(budget, number, seed, values, scores, seconds, failure)


def record(options: argparse.Namespace) -> None:
    budget = Budget(options.study, RECORDED, options.epochs, options.samples, options.dev)
    study = replayed_study(budget.study, budget.epochs, budget.samples, options.data)
    todo = wanted(options.configurations, options.replicates)
    if options.results.exists() and options.results.stat().st_size:
        stored = read_curves(options.results)
        if stored[0].budget != budget:
            raise UserError(f"{options.results} holds curves of {stored[0].budget}, not {budget}.")
        for curve in stored:
            if curve.values != point(study, curve.number, options.seed):
                raise UserError(f"{options.results} was begun with another --seed.")
        held = {(curve.number, curve.seed) for curve in stored}
        todo = [key for key in todo if key not in held]
        write_whole(options.results, "".join(curve.line() for curve in stored))
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, spawn) as pool:
        futures = [
            pool.submit(
                trained, budget, number, seed, point(study, number, options.seed), options.data
            )
            for number, seed in todo
        ]
        for done, future in enumerate(as_completed(futures), start=1):
            curve = future.result()
            with options.results.open("a", encoding="utf-8") as file:
                file.write(curve.line())
            last = curve.failure or f"{curve.scores['mean'][-1]:.4f}"
            print(
                f"{done} of {len(todo)}: configuration {curve.number}, seed {curve.seed}: {last}, "
                f"{sum(curve.seconds):.0f} CPU seconds",
                flush=True,
            )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    command = parser.add_subparsers(required=True).add_parser("record")
    command.add_argument("--study", required=True)
    command.add_argument("--results", type=Path, required=True)
    command.add_argument("--data", default="embedded", metavar="FOLDER")
    command.add_argument("--configurations", type=int, default=64)
    command.add_argument("--replicates", type=int, default=7, help="of the default configuration")
    command.add_argument("--epochs", type=int, default=9)
    command.add_argument("--samples", type=int, default=256, help="a task and epoch")
    command.add_argument("--dev", type=int, default=500, help="at most so many examples a task")
    command.add_argument("--seed", type=int, default=0, help="of the configurations drawn")
    command.add_argument("--workers", type=int, default=2, help="trainings side by side")
    options = parser.parse_args(arguments)
    try:
        record(options)
    except UserError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
