"""Syne Tune under its own simulator: its schedulers, tuner and clock, on our curves.

Needs `syne-tune` (the extra `bench`). Its spaces know no conditions: a factor that is not active is
drawn as any other and changes nothing. Its clock counts its own computing time, as ours does. The
simulated delays of starting and stopping a trial are set to zero, as they are for the others, and
it looks for results several times in an epoch instead of every five seconds.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution, IntDistribution

from benchmarks.replay.landscape import Landscape, Truth
from benchmarks.replay.points import default_point
from benchmarks.replay.simulated_time import Incumbent, Trace
from search.trials.distributions import decode, distributions, encode
from spaces import Choice, Space, Value, toml_text

METHODS = ("ASHA", "BOHB", "ASHACQR")


def values_of(space: Space, flat: Mapping[str, Any]) -> dict[str, Value]:
    """The active factors of one of Syne Tune's configurations."""
    values: dict[str, Value] = {}
    for name, domain in space.free.items():
        if space.is_active(name, values):
            if isinstance(domain, Choice):
                values[name] = next(o for o in domain.options if toml_text(o) == flat[name])
            else:
                values[name] = decode(domain, {p: flat[p] for p in distributions(name, domain)})
    return values


def flat_point(space: Space, values: Mapping[str, Value]) -> dict[str, Any]:
    """A point as Syne Tune writes it: options as texts, factors that are not active at their
    defaults."""
    whole = {name: space.config().values()[name] for name in space.free} | dict(values)
    parameters = encode(space, whole)
    return {
        **parameters,
        **{
            n: toml_text(whole[n]) for n, domain in space.free.items() if isinstance(domain, Choice)
        },
    }


def _config_space(space: Space) -> dict[str, Any]:
    from syne_tune import config_space as syne

    domains: dict[str, Any] = {}
    for name, domain in space.free.items():
        if isinstance(domain, Choice):
            domains[name] = syne.choice([toml_text(option) for option in domain.options])
            continue
        for parameter, distribution in distributions(name, domain).items():
            assert not isinstance(distribution, CategoricalDistribution)
            whole = isinstance(distribution, IntDistribution)
            if distribution.log:
                kind = syne.lograndint if whole else syne.loguniform
            else:
                kind = syne.randint if whole else syne.uniform
            domains[parameter] = kind(distribution.low, distribution.high)
    return domains


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Run the block in a folder of its own, which is removed, and without what Syne Tune prints."""
    with tempfile.TemporaryDirectory(prefix="efficiency-") as folder:
        os.environ["SYNETUNE_FOLDER"] = folder
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pandas and statsmodels, about their next versions
            yield


@_quietly()
def replay_syne(
    method: str,
    landscape: Landscape,
    reduction_factor: int,
    repetition: int,
    workers: int,
    epochs: int,
    seconds: float,
    default_first: bool,
) -> Trace:
    """As `benchmarks.replay.simulated_time.replay`, for one of Syne Tune's methods by its class
    name."""
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend.simulator_backend.simulator_backend import SimulatorConfig
    from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
    from syne_tune.backend.trial_status import Status
    from syne_tune.blackbox_repository.blackbox import Blackbox
    from syne_tune.blackbox_repository.simulated_tabular_backend import UserBlackboxBackend
    from syne_tune.config_space import randint
    from syne_tune.constants import ST_TUNER_TIME
    from syne_tune.optimizer import baselines

    for name in logging.root.manager.loggerDict:
        if name.startswith("syne_tune"):
            logging.getLogger(name).setLevel(logging.ERROR)
    np.random.seed(repetition)  # ASHA's searchers draw from the global generator in places
    space, budget = landscape.space, landscape.epochs
    config_space = _config_space(space)
    truths: dict[str, Truth] = {}

    def truth(config: Mapping[str, Any]) -> Truth:
        key = repr(sorted(config.items()))
        if key not in truths:
            truths[key] = landscape.truth(values_of(space, config))
        return truths[key]

    class Curves(Blackbox):  # type: ignore[misc]
        @property
        def fidelity_values(self) -> list[int]:
            return list(range(1, budget + 1))

        def _objective_function(
            self, configuration: dict[str, Any], fidelity: Any = None, seed: Any = None
        ) -> np.ndarray:
            found = truth(configuration)
            values = values_of(space, configuration)
            noise = landscape.noise.drawn(values, budget, repetition)
            times = np.arange(1, budget + 1) * found.seconds * seconds
            table: np.ndarray = np.stack([noise + found.scores, times], axis=1)
            return table  # (epochs, 2)

    class Backend(UserBlackboxBackend):  # type: ignore[misc]
        def _run_job_and_collect_results(
            self, trial_id: int, config: dict[str, Any] | None = None
        ) -> tuple[str, list[dict[str, Any]]]:
            status, results = super()._run_job_and_collect_results(trial_id, config)
            found = truth(self._trial_dict[trial_id].config)
            return Status.failed if found.fails else status, results[: found.survives]

    trace, incumbent = Trace(), Incumbent()

    class Watch(SimulatorCallback):  # type: ignore[misc]
        failed: set[int] = set()  # noqa: RUF012 - one replay has one

        def on_start_trial(self, trial: Any) -> None:
            trace.trials += 1

        def on_fetch_status_results(self, trial_status_dict: Any, new_results: Any) -> None:
            for number, (trial, status) in trial_status_dict.items():
                if status == Status.failed and number not in self.failed:
                    self.failed.add(number)
                    incumbent.fail(str(number))
                    trace.busy_seconds += truth(trial.config).seconds * seconds
                    trace.add(trace.seconds, incumbent.truth)

        def on_trial_result(self, trial: Any, status: str, result: Any, decision: str) -> None:
            super().on_trial_result(trial, status, result, decision)
            found = truth(trial.config)
            incumbent.report(
                str(trial.trial_id), int(result["epoch"]), result["score"], found.scores[-1]
            )
            trace.seconds = max(trace.seconds, float(result[ST_TUNER_TIME]))
            trace.busy_seconds += found.seconds * seconds
            trace.add(trace.seconds, incumbent.truth)

    default = flat_point(space, default_point(space))
    typical = truth(default).seconds * seconds
    scheduler = getattr(baselines, method)(
        config_space,
        metric="score",
        time_attr="epoch",
        max_t=budget,
        do_minimize=False,
        random_seed=repetition,
        reduction_factor=reduction_factor,
        points_to_evaluate=[default] if default_first else None,
    )
    backend = Backend(
        blackbox=Curves(config_space, {"epoch": randint(1, budget)}, ["score", "elapsed"]),
        elapsed_time_attr="elapsed",
        simulator_config=SimulatorConfig(0.0, 0.0, 0.0, 0.0, 0.0),
        tuner_sleep_time=typical / (4 * workers),
    )
    Tuner(
        trial_backend=backend,
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_num_evaluations=epochs),
        n_workers=workers,
        sleep_time=0,
        max_failures=1_000_000,
        callbacks=[Watch()],
        save_tuner=False,
    ).run()
    return trace
