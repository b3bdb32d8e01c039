"""What each technique does to the scores: one recipe, and every choice switched alone.

    python -m benchmarks.techniques [--quick] [--data FOLDER] [--seeds 3] [--epochs 2]
                                    [--samples 2048] [--workers 2] [--results FILE]

The recipe was the default until this comparison changed it (`RECIPE`). A seed draws the same heads,
and the same examples where a technique leaves that alone, for all. Differences are paired by seed.
How much one varies from seed to seed is estimated from all techniques together, by the median (a
technique that varies more has its own), so that three seeds are enough for an interval: 95%, and
the verdict allows for the number of techniques (Bonferroni). Scores are of the last epoch, on the
dev split; seconds are CPU time on one thread, evaluation included, of the seed that was disturbed
least.

A training that `--results` holds already is not repeated: an interrupted run goes on. What was
measured on the real data is in `benchmarks/results/techniques.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from scipy.stats import chi2
from scipy.stats import t as student

from benchmarks.common.machine import machine
from benchmarks.common.material import data_kind, material
from model import ALL_TASKS, Material, Metrics, Save, make_accelerator, release_memory, train
from spaces import Config
from spaces.domains import Value

SCORES = ("sst", "para", "sts", "mean")
DEFAULT = "default"
RECIPE: Mapping[str, Value] = {"shared_pair_head": True, "similarity": "head"}
"""What all are compared with, where that is no longer the default: this comparison changed it."""
SHORT = "default, 4 epochs"


@dataclass(frozen=True)
class Technique:
    """A recipe: `base` with some factors set otherwise."""

    changes: Mapping[str, Value]
    base: str = DEFAULT
    share_of_epochs: float = 1.0
    """The share of the budget's epochs that it gets; what trains on more in an epoch gets fewer."""
    parts: int = 1
    """Into how many shorter epochs each epoch is cut."""


def _alone(*choices: Mapping[str, Value]) -> dict[str, Technique]:
    """Techniques by name, each named after the first factor that it sets."""
    return {_name(changes): Technique(changes) for changes in choices}


def _name(changes: Mapping[str, Value]) -> str:
    name, value = next(iter(changes.items()))
    return f"{name}={str(value).lower() if isinstance(value, bool) else value}"


TECHNIQUES = {
    DEFAULT: Technique({}),
    **_alone(
        {"pair_encoding": "joint"},
        {"shared_pair_head": False},
        {"similarity": "cosine", "shared_pair_head": False},
        {"pair_features": "concatenation"},
        {"pair_features": "difference"},
        {"jaccard": False},
        {"pooling": "cls"},
        {"pooling": "max"},
        {"pooling": "attention"},
        {"pooled_layers": 2},
        {"head": "linear"},
        {"loss_weighting": "equal"},
        {"loss_weighting": "uncertainty"},
        {"gradient_surgery": "pcgrad"},
        {"sampling": "proportional"},
        {"sampling": "annealed"},
        {"extra_data": True},
        {"extra_share": 0.25, "extra_data": "share"},
        {"layer_decay": 0.8},
        {"reinitialized_layers": 1},
        {"trainable_layers": "none"},
        {"trainable_layers": 2},
        {"lora_rank": 16, "encoder_learning_rate": 1e-3},
        {"schedule": "constant"},
        {"bregman": True},
    ),
    # An epoch of "sequential" is all data, about four times 2,048 a task.
    "sampling=sequential": Technique({"sampling": "sequential"}, share_of_epochs=0.5),
    # What acts from one epoch to the next shows little in two.
    SHORT: Technique({}, parts=2),
    "loss_weighting=dynamic": Technique({"loss_weighting": "dynamic"}, SHORT, parts=2),
    "unfreezing=gradual": Technique({"unfreezing": "gradual"}, SHORT, parts=2),
    **_alone({"smart": True}),  # last: it costs three times the others
}


def config_of(name: str, epochs: int, samples: int, seed: int) -> Config:
    """The configuration of a technique at a budget of `epochs` of `samples` a task."""
    technique = TECHNIQUES[name]
    return Config.of(
        {
            "epochs": max(1, round(epochs * technique.share_of_epochs)) * technique.parts,
            "samples_per_epoch": samples // technique.parts,
            "seed": seed,
            **RECIPE,
            **technique.changes,
        },
        name,
    )


@cache
def _material(data: str) -> Material:
    return material(data, with_extra=True)


def trained(name: str, config: Config, data: str) -> dict[str, Any]:
    """The last epoch's scores of one training, and the CPU seconds of an epoch."""
    torch.set_num_threads(1)
    given = _material(data)
    started = time.process_time()
    marks: list[tuple[float, Metrics]] = []

    def report(epoch: float, metrics: Metrics, save: Save) -> bool:
        marks.append((time.process_time(), metrics))
        return True

    train(config, ALL_TASKS, given.corpus, given.encoder, make_accelerator(), report)
    release_memory()
    ended, metrics = marks[-1]
    return {
        "technique": name,
        "seed": config.seed,
        "config": config.active(),
        "scores": {task: metrics[f"score/{task}"] for task in SCORES},
        "cpu_seconds_an_epoch": (ended - started) / len(marks),
    }


def measure(options: argparse.Namespace, results: Path) -> list[dict[str, Any]]:
    """A row for each technique and seed: those of the file, and the rest trained and added."""
    wanted = {
        (name, seed): config_of(name, options.epochs, options.samples, seed)
        for seed in range(options.seeds)
        for name in TECHNIQUES
    }
    rows = []
    if results.exists():
        stored = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
        for row in stored:
            config = wanted.get((row["technique"], row["seed"]))
            if config and row["config"] == json.loads(json.dumps(config.active())):
                rows.append(row)
                del wanted[row["technique"], row["seed"]]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, spawn) as pool:
        futures = [
            pool.submit(trained, name, config, options.data) for (name, _), config in wanted.items()
        ]
        for future in as_completed(futures):
            rows.append(future.result())
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    return rows


def noise(deviations: Sequence[float], seeds: int) -> float:
    """The standard deviation that a difference between two techniques usually has from seed to
    seed: by the median of all, since a few that hardly train vary many times as much."""
    freedom = seeds - 1
    usual = statistics.median(deviation**2 for deviation in deviations)
    return math.sqrt(usual * freedom / float(chi2.median(freedom)))


def summary(rows: Sequence[Mapping[str, Any]], seeds: int) -> list[dict[str, Any]]:
    """A line for each technique that has all `seeds`, in order: its scores, and the differences to
    its base."""
    trained = Counter(row["technique"] for row in rows)
    names = [name for name in TECHNIQUES if trained[name] == seeds]
    lines: dict[str, dict[str, Any]] = {name: {"technique": name} for name in names}
    for name, line in lines.items():
        times = [row["cpu_seconds_an_epoch"] for row in rows if row["technique"] == name]
        line["cpu_seconds_an_epoch"] = min(times)  # the seed that was disturbed least
    freedom = (len(names) - 1) * (seeds - 1)
    one, all_of_them = (
        float(student.ppf(1 - 0.025 / tests, freedom)) for tests in (1, len(names) - 1)
    )
    for task in SCORES:
        scores = {name: _by_seed(rows, name, task) for name in names}
        differences = {
            name: [score - scores[TECHNIQUES[name].base][seed] for seed, score in by_seed.items()]
            for name, by_seed in scores.items()
        }
        deviations = {name: statistics.stdev(found) for name, found in differences.items()}
        usual = noise([d for name, d in deviations.items() if name != DEFAULT], seeds)
        for name, line in lines.items():
            difference = statistics.mean(differences[name])
            error = max(usual, deviations[name]) / math.sqrt(seeds)
            line[task] = {
                "mean": statistics.mean(scores[name].values()),
                "deviation": statistics.stdev(scores[name].values()),
                "difference": difference,
                "half_width": one * error,
                "certain": abs(difference) > all_of_them * error,
            }
    return list(lines.values())


def _by_seed(rows: Iterable[Mapping[str, Any]], name: str, task: str) -> dict[int, float]:
    return {row["seed"]: row["scores"][task] for row in rows if row["technique"] == name}


def verdict(effect: Mapping[str, Any]) -> str:
    """What can be said of a difference."""
    if abs(effect["difference"]) <= effect["half_width"]:
        return "cannot tell"
    word = "helps" if effect["difference"] > 0 else "hurts"
    return word if effect["certain"] else f"perhaps {word}"


def show(lines: Sequence[Mapping[str, Any]]) -> None:
    """The table: scores as mean (standard deviation), the differences of the mean score."""
    width = max(len(line["technique"]) for line in lines) + 1
    heads = "".join(f"{name:>15}" for name in SCORES)
    print(f"{'technique':{width}}{heads}{'minus its base':>17}  {'':15}{'s/epoch':>8}")
    for line in lines:
        cells = [f"{line[name]['mean']:.3f} ({line[name]['deviation']:.3f})" for name in SCORES]
        effect = line["mean"]
        delta = f"{effect['difference']:+.3f} ± {effect['half_width']:.3f}"
        said = verdict(effect)
        if line["technique"] == DEFAULT:
            delta = said = ""
        row = "".join(f"{cell:>15}" for cell in cells)
        time_text = f"{line['cpu_seconds_an_epoch']:8.1f}"
        print(f"{line['technique']:{width}}{row}{delta:>17}  {said:15}{time_text}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="2 seeds of one tiny epoch")
    parser.add_argument("--data", default="embedded", metavar="FOLDER")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--samples", type=int, default=2048, help="a task and epoch")
    parser.add_argument("--workers", type=int, default=2, help="trainings side by side")
    parser.add_argument("--results", type=Path, help="a file of JSON lines to keep and go on from")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.epochs, options.samples = 2, 1, 64
    with tempfile.TemporaryDirectory(prefix="ablatune-") as folder:
        rows = measure(options, options.results or Path(folder) / "results.jsonl")
    lines = summary(rows, options.seeds)
    print(f"{options.seeds} seeds, {options.epochs} epochs of {options.samples} a task; ", end="")
    print(f"{data_kind(options.data)} data\n")
    show(lines)
    result = {
        "benchmark": "techniques",
        "machine": machine(),
        "data": data_kind(options.data),
        "seeds": options.seeds,
        "epochs": options.epochs,
        "samples": options.samples,
        "techniques": lines,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
