"""What the fast step costs in quality: bf16 against fp32, cheap dropout against PyTorch's.

    python -m benchmarks.precision [--quick] [--data FOLDER] [--seeds 5] [--epochs 2]
                                 [--samples 1024] [--workers 2]

Every variant trains the default configuration with each seed; a seed draws the same examples and
the same heads for all. The differences to ours in bf16 are paired by seed, with the 95% interval
of Student's t over the seeds. Scores are of the last epoch, on the dev split.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch
from scipy.stats import t as student
from torch import Tensor

from benchmarks.common.machine import machine
from benchmarks.common.material import data_kind, material
from model import ALL_TASKS, Metrics, make_accelerator, train
from model.layers.dropout import Dropout
from spaces import Config

OURS = "ablatune, bf16"
VARIANTS = {
    OURS: ("bf16", False),
    "ablatune, fp32": ("fp32", False),
    "ablatune, bf16, PyTorch's dropout": ("bf16", True),
}
SCORES = ("sst", "para", "sts", "mean")


def trained(variant: str, config: Config, data: str) -> Metrics:
    """Train in a process of its own; the metrics of the last epoch."""
    precision, true_dropout = VARIANTS[variant]
    torch.set_num_threads(1)
    if true_dropout:
        Dropout.mask = _bernoulli  # type: ignore[method-assign]
    given = material(data)
    accelerator = make_accelerator(precision)
    result = train(config, ALL_TASKS, given.corpus, given.encoder, accelerator, lambda *_: True)
    return result.metrics


def _bernoulli(self: Dropout, values: Tensor) -> Tensor | None:
    """The mask that `torch.nn.Dropout` draws."""
    if not self.training or self.probability == 0:
        return None
    keep = torch.empty_like(values, memory_format=torch.contiguous_format)
    return keep.bernoulli_(1 - self.probability).mul_(1 / (1 - self.probability))


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """The mean and the half width of its 95% interval."""
    count = len(differences)
    width = student.ppf(0.975, count - 1) * statistics.stdev(differences) / math.sqrt(count)
    return statistics.mean(differences), float(width)


def summary(found: dict[str, list[Metrics]]) -> list[dict[str, Any]]:
    """A row for each variant: scores, and their differences to ours in bf16."""
    rows = []
    for variant, runs in found.items():
        row: dict[str, Any] = {"variant": variant}
        for name in SCORES:
            scores = [run[f"score/{name}"] for run in runs]
            pairs = zip(scores, found[OURS], strict=True)
            differences = [score - ours[f"score/{name}"] for score, ours in pairs]
            row[name] = {
                "mean": statistics.mean(scores),
                "deviation": statistics.stdev(scores),
                "difference": None if variant == OURS else interval(differences),
            }
        rows.append(row)
    return rows


def show(result: dict[str, Any]) -> None:
    budget = f"{result['seeds']} seeds, {result['epochs']} epochs of {result['samples']} a task"
    print(f"{budget}, {result['data']} data; mean (standard deviation over the seeds)\n")
    print(f"{'variant':34}" + "".join(f"{name:>17}" for name in SCORES))
    for row in result["variants"]:
        cells = [f"{row[name]['mean']:.4f} ({row[name]['deviation']:.4f})" for name in SCORES]
        print(f"{row['variant']:34}" + "".join(f"{cell:>17}" for cell in cells))
        if row["variant"] != OURS:
            pairs = [row[name]["difference"] for name in SCORES]
            cells = [f"{mean:+.4f} ± {width:.4f}" for mean, width in pairs]
            print(f"{'  minus ours in bf16':34}" + "".join(f"{cell:>17}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="2 seeds of one short epoch")
    parser.add_argument("--data", default="embedded", metavar="FOLDER")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--samples", type=int, default=1024, help="a task and epoch")
    parser.add_argument("--workers", type=int, default=2, help="trainings side by side")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.epochs, options.samples = 2, 1, 256
    spawn = multiprocessing.get_context("spawn")
    # A process knows one precision only.
    with ProcessPoolExecutor(options.workers, spawn, max_tasks_per_child=1) as pool:
        futures: dict[str, list[Any]] = {variant: [] for variant in VARIANTS}
        for seed in range(options.seeds):
            config = Config(epochs=options.epochs, samples_per_epoch=options.samples, seed=seed)
            for variant in VARIANTS:
                futures[variant].append(pool.submit(trained, variant, config, options.data))
        found = {variant: [f.result() for f in given] for variant, given in futures.items()}
    result = {
        "benchmark": "quality",
        "machine": machine(),
        "data": data_kind(options.data),
        "seeds": options.seeds,
        "epochs": options.epochs,
        "samples": options.samples,
        "variants": summary(found),
    }
    show(result)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
