"""Examples per CPU-second of one training update: ours beside what others write.

    python -m benchmarks.step [--quick] [--data FOLDER] [--rounds 9] [--batch-size 32]

Every round all variants make one update of all three tasks from the same examples with the
packaged encoder, on one thread, each in turn. The times are the process's CPU time: they hold on a
busy machine as well. "x ours" is the median over the rounds of how many times ours in bf16 a
variant took. The shares compare the work that the real tokens need, 6 FLOP a token and parameter
outside the embeddings, with what this machine reaches in the bare matrix products.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from accelerate.state import AcceleratorState
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from benchmarks.common.gemm import gemm_rate
from benchmarks.common.machine import machine
from benchmarks.common.material import data_kind
from benchmarks.common.updates import TASKS, Update, Workload, workload
from benchmarks.peers.training_loops import (
    CourseLoop,
    SensibleLoop,
    SentenceTransformersTrainer,
    TransformersTrainer,
)
from model import ALL_TASKS, has_bf16, make_accelerator
from model.training.step import Step

_DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


class Ours:
    """The update of a trial, from drawing the examples to the step of the optimizer."""

    def __init__(self, work: Workload, precision: str) -> None:
        self.name = f"ablatune, {precision}"
        AcceleratorState._reset_state(reset_partial_state=True)  # Else a process has one precision.
        accelerator = make_accelerator(precision)
        self.step = Step(work.config, ALL_TASKS, work.encoder, accelerator, len(work.updates))
        self.step.network.train()
        self.batches = enumerate(work.batches())

    def __call__(self, update: Update) -> None:
        number, batch = next(self.batches)
        self.step(batch, number)


def variants(work: Workload) -> list[Callable[[Update], None]]:
    """All of them, ours in bf16 last but one."""
    return [
        CourseLoop(),
        SensibleLoop(),
        TransformersTrainer(),
        SentenceTransformersTrainer(),
        Ours(work, "bf16"),
        Ours(work, "fp32"),
    ]


Times = dict[str, dict[int, float]]
"""CPU-seconds of the updates by variant and round."""


def measure(contenders: Sequence[Any], updates: Sequence[Update], warm: int) -> Times:
    """Time each variant on each update but the first `warm`, which come before, so that nobody
    pays in it for what a training pays once.

    The course's loop, the slowest by far, takes part in every third round only, and is warmed up
    with a few examples: its shapes are always the same.
    """
    times: Times = {contender.name: {} for contender in contenders}
    for number, update in enumerate(updates):
        for contender in contenders:
            given = update
            if isinstance(contender, CourseLoop):
                if number < warm:
                    given = {task: examples[:4] for task, examples in update.items()}
                elif (number - warm) % 3:
                    continue
            started = time.process_time()
            contender(given)
            if number >= warm:
                times[contender.name][number] = time.process_time() - started
    return times


def summary(times: Times, work: Workload) -> list[dict[str, Any]]:
    """A row of results for each variant."""
    examples = work.config.batch_size * len(TASKS)
    ours = times["ablatune, bf16"]
    return [
        {
            "variant": name,
            "examples_per_cpu_second": _spread([examples / t for t in taken.values()]),
            "times_ours": _spread([t / ours[number] for number, t in taken.items()]),
        }
        for name, taken in times.items()
    ]


def shares(times: Times, work: Workload, repeats: int) -> dict[str, Any]:
    """GFLOP per CPU-second of the bare products and of our updates, and the ratio of the two."""
    tokens = round(statistics.mean(work.tokens))
    shape = work.encoder.shape
    body = sum(w.size for n, w in work.encoder.weights.items() if not n.startswith("embeddings."))
    found: dict[str, Any] = {"tokens": tokens}
    for name, dtype in _DTYPES.items():
        rate = gemm_rate(shape, tokens, dtype, repeats)
        taken = times[f"ablatune, {name}"]
        work_rates = [6 * body * work.tokens[number] / t for number, t in taken.items()]
        found[name] = {
            "gemm_gflops": rate / 1e9,
            "step_gflops": statistics.median(work_rates) / 1e9,
            "share": _spread([r / rate for r in work_rates]),
        }
    return found


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def show(result: dict[str, Any]) -> None:
    about = result["machine"]
    print(
        f"{about['cpu']} ({', '.join(about['capabilities'])}), torch {about['torch']}, one thread"
    )
    print(f"{result['rounds']} rounds; median (min-max)\n")
    print(f"{'variant':45} {'examples/CPU-s':>22} {'x ours':>20}")
    for row in result["variants"]:
        speed, ratio = (
            f"{s['median']:.1f} ({s['min']:.1f}-{s['max']:.1f})"
            for s in (row["examples_per_cpu_second"], row["times_ours"])
        )
        print(f"{row['variant']:45} {speed:>22} {ratio:>20}")
    print()
    for name in _DTYPES:
        part = result["shares"][name]
        share = part["share"]
        print(
            f"{name}: products alone {part['gemm_gflops']:.0f} GFLOP/s, the whole update "
            f"{part['step_gflops']:.0f}: {share['median']:.0%} "
            f"({share['min']:.0%}-{share['max']:.0%})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="two rounds: a minute or two")
    parser.add_argument("--data", default="embedded", metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch-size", type=int, default=32)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    disable_progress_bar()
    set_verbosity_error()
    logging.getLogger("torch").setLevel(logging.ERROR)
    warm, rounds = (2, 2) if options.quick else (8, options.rounds)
    work = workload(options.data, warm + rounds, options.batch_size)
    times = measure(variants(work), work.updates, warm)
    result = {
        "benchmark": "step",
        "machine": machine() | {"bf16_in_hardware": has_bf16()},
        "data": data_kind(options.data),
        "batch_size": options.batch_size,
        "rounds": rounds,
        "variants": summary(times, work),
        "shares": shares(times, work, repeats=5 if options.quick else 15),
    }
    show(result)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
