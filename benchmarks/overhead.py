"""What a search costs beside the training: trials a second, CPU time a trial, and how it grows.

    python -m benchmarks.overhead [--quick] [--trials 10000] [--sampler gp] [--study quickstart]

A whole study through our own driver on a local Ray with two slots: Optuna's journal, the trials'
folders, logs and TensorBoard events, the live view drawn as on a terminal. Only the training is
trivial: it reports a score made from the configuration for four epochs, and most trials are
stopped early. Beside it Ray Tune with OptunaSearch, ASHA, reused actors and its default loggers,
as their documentation shows, on the same training, space and sampler.

Every contender runs in a process of its own, in turn, watched from here. CPU times are those of
the driver's process, and of Ray's workers; they hold on a busy machine better than trials a
second, which do not. Starting up, before the first trial has ended, is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.common.machine import machine

_CONTENDERS = {
    "ablatune": "benchmarks.peers.ablatune_search",
    "Ray Tune": "benchmarks.peers.stock_search",
}
_SECONDS_BETWEEN_SAMPLES = 0.1


@dataclass(frozen=True)
class Sample:
    """The CPU seconds that were used until a moment, which is in seconds since 1970."""

    moment: float
    driver: float
    workers: float


@dataclass(frozen=True)
class Block:
    """Consecutive trials, by their end; CPU times in milliseconds a trial."""

    until: int
    trials_per_second: float
    driver_ms: float
    worker_ms: float


def watch(module: str, trials: int, sampler: str, study: str) -> tuple[list[float], list[Sample]]:
    """Run a contender in a folder that is removed; when each trial ended, and the CPU times."""
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        command = [sys.executable, "-m", module, str(trials), sampler, study, folder]
        result = Path(folder) / "ended.json"
        with (Path(folder) / "output.txt").open("w+") as output:
            child = subprocess.Popen(
                command,
                stdout=output,
                stderr=output,
                # The live view draws only on what it takes for a terminal.
                env={**os.environ, "FORCE_COLOR": "1", "TERM": "xterm"},
            )
            process, samples = psutil.Process(child.pid), []
            while child.poll() is None:
                samples.append(_sample(process))
                time.sleep(_SECONDS_BETWEEN_SAMPLES)
            if child.returncode != 0:
                output.seek(0)
                raise SystemExit(f"{module} failed:\n{output.read()[-4000:]}")
        return json.loads(result.read_text(encoding="utf-8")), samples


def _sample(process: psutil.Process) -> Sample:
    """Ray's workers are called ray::...; its daemons are not counted."""
    driver, workers = _cpu_seconds(process), 0.0
    for child in process.children(recursive=True):
        try:
            if "ray::" in "".join(child.cmdline()[:1]):
                workers += _cpu_seconds(child)
        except psutil.NoSuchProcess:
            continue
    return Sample(time.time(), driver, workers)


def _cpu_seconds(process: psutil.Process) -> float:
    with process.oneshot():
        times = process.cpu_times()
        return float(times.user + times.system)


def blocks(ended: Sequence[float], samples: Sequence[Sample], size: int) -> list[Block]:
    """The trials cut into blocks of `size`; a rest at the end is left out."""
    ends = sorted(ended)
    marks = [0, *range(size - 1, len(ends), size)]
    found = []
    for first, last in pairwise(marks):
        before, after = _at(samples, ends[first]), _at(samples, ends[last])
        trials = last - first
        found.append(
            Block(
                last + 1,
                trials / (ends[last] - ends[first]),
                1000 * (after.driver - before.driver) / trials,
                1000 * (after.workers - before.workers) / trials,
            )
        )
    return found


def _at(samples: Sequence[Sample], moment: float) -> Sample:
    """The CPU times at a moment, on the line between the two samples around it."""
    after = min(bisect_left(samples, moment, key=lambda s: s.moment), len(samples) - 1)
    low, high = samples[max(after - 1, 0)], samples[after]
    span = high.moment - low.moment
    share = min(max((moment - low.moment) / span, 0.0), 1.0) if span else 0.0
    return Sample(
        moment,
        low.driver + share * (high.driver - low.driver),
        low.workers + share * (high.workers - low.workers),
    )


def summary(runs: Sequence[Sequence[Block]]) -> dict[str, Any]:
    """The medians over the runs of each block and of the whole, and how much the last block of a
    run costs the driver against the first."""
    rows = [
        {
            "until": same[0].until,
            "trials_per_second": median(block.trials_per_second for block in same),
            "driver_ms": median(block.driver_ms for block in same),
            "worker_ms": median(block.worker_ms for block in same),
        }
        for same in zip(*runs, strict=True)
    ]
    count = len(rows)
    return {
        "blocks": rows,
        "trials_per_second": count / sum(1 / row["trials_per_second"] for row in rows),
        "driver_ms": sum(row["driver_ms"] for row in rows) / count,
        "worker_ms": sum(row["worker_ms"] for row in rows) / count,
        "growth": rows[-1]["driver_ms"] / rows[0]["driver_ms"],
        "slowdown": rows[0]["trials_per_second"] / rows[-1]["trials_per_second"],
    }


def show(result: dict[str, Any]) -> None:
    about = result["machine"]
    print(
        f"{about['cpu']}; two slots, {result['sampler']}, {result['study']}, "
        f"{result['runs']} run(s); load {result['load'][0]:.1f} before, "
        f"{result['load'][1]:.1f} after"
    )
    print(f"\n{'':10} {'trials':>8} {'trials/s':>9} {'driver ms':>10} {'worker ms':>10}  a trial")
    for name, found in result["contenders"].items():
        for row in (*found["blocks"], {"until": "all", **found}):
            print(
                f"{name:10} {row['until']:>8} {row['trials_per_second']:>9.1f} "
                f"{row['driver_ms']:>10.1f} {row['worker_ms']:>10.1f}"
            )
        print(
            f"{name:10} last block against the first: {found['growth']:.2f} times the driver's "
            f"CPU, {found['slowdown']:.2f} times the time\n"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="300 trials: about a minute")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--stock-trials", type=int, help="as many as ours if left out; 0 for none")
    parser.add_argument("--runs", type=int, default=1, help="of each contender, interleaved")
    parser.add_argument("--sampler", choices=("gp", "tpe", "random"), default="gp")
    parser.add_argument("--study", default="quickstart", help="whose factors are searched")
    options = parser.parse_args()
    trials = 300 if options.quick else options.trials
    stock = trials if options.stock_trials is None else options.stock_trials
    counts = {"ablatune": trials, "Ray Tune": stock}
    load = [os.getloadavg()[0]]
    runs: dict[str, list[list[Block]]] = {name: [] for name, count in counts.items() if count}
    for _ in range(options.runs):
        for name, measured in runs.items():
            count = counts[name]
            ended, samples = watch(_CONTENDERS[name], count, options.sampler, options.study)
            measured.append(blocks(ended, samples, min(1000, count // 3)))
    load.append(os.getloadavg()[0])
    result = {
        "benchmark": "overhead",
        "machine": machine(),
        "study": options.study,
        "sampler": options.sampler,
        "runs": options.runs,
        "load": load,
        "contenders": {name: summary(measured) for name, measured in runs.items()},
    }
    show(result)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
