"""A search with Ray Tune and Optuna as their documentation shows, to compare ours with.

python -m benchmarks.peers.stock_search TRIALS SAMPLER STUDY FOLDER
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "0"

import optuna
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.common.trivial_training import EPOCHS, MEETING, SLOTS, scores
from search.trials.distributions import suggest
from spaces import Space, load_study


def train(config: dict[str, Any]) -> None:
    for _, score in scores(config):
        tune.report({"score": score})


class Ends(tune.Callback):  # type: ignore[misc]
    """A callback of Tune's that notes when each trial ended."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.moments.append(time.time())


def define(trial: optuna.Trial, space: Space) -> None:
    """Optuna's define-by-run space: what `suggest` asks for is the trial's configuration."""
    suggest(trial, space)


def main(arguments: Sequence[str]) -> None:
    trials, sampler, name, path = arguments
    space = load_study(name).space
    samplers = {
        "gp": optuna.samplers.GPSampler,
        "tpe": optuna.samplers.TPESampler,
        "random": optuna.samplers.RandomSampler,
    }
    ends = Ends()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    os.environ[MEETING] = path
    ray.init(address="local", num_cpus=SLOTS, include_dashboard=False, log_to_driver=False)
    tuner = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(
                space=partial(define, space=space),
                metric="score",
                mode="max",
                sampler=samplers[sampler](),
            ),
            scheduler=ASHAScheduler(metric="score", mode="max", max_t=EPOCHS, reduction_factor=3),
            num_samples=int(trials),
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(storage_path=path, name="stock", callbacks=[ends]),
    )
    tuner.fit()
    (Path(path) / "ended.json").write_text(json.dumps(ends.moments), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
