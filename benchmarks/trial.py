"""What a trial costs beside its training: cold start, gap to the next one, memory, open files.

    python -m benchmarks.trial [--quick] [--data FOLDER] [--trials 200] [--epochs 6]

Trials are the real ones of a search with the packaged encoder, each on one thread; all but one are
of one update. That one is a training as users have it: the default batch, epochs of 512 samples a
task, the whole dev set; its memory is looked at before each update and each piece of an evaluation.
"First update" is the moment before it, with everything built and read. Private memory is what no
other process shares: the corpus and the initial weights, which lie once in Ray's object store, are
not in it. The peer is a trial of Ray Tune as its users write it
(`benchmarks/peers/stock_trial.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import ray

from benchmarks.common.machine import machine
from benchmarks.common.material import data_kind
from benchmarks.common.processes import open_files, private_bytes
from benchmarks.peers.stock_trial import stock_gaps
from model import DEV, Ask, Corpus, Metrics, Save, train
from search.driver.run import run
from search.trials.study_folder import StudyFolder
from search.worker.environment import WORKER_ENVIRONMENT
from spaces import StudyFile, parse_study

_SECONDS = 300  # how long a cold start may take
_DEV = 64  # examples of a task that a trial is evaluated on
_SHORT = {"batch_size": 8, "samples_per_epoch": 8, "epochs": 1}
_SAMPLES = 512  # a task and epoch of the long training

Marks = list[dict[str, Any]]
"""Of each trial, in order: its process, what that held, and when the trial began and ended."""


def cold_start(data: str, folder: Path, cache: Path) -> dict[str, float]:
    """Seconds from the command to the end of each phase, and last to the first update."""
    command = [sys.executable, "-m", "search.cli", "search", "quickstart", "--quiet"]
    command += ["--set", f"data.path={data}", "--dir", str(folder)]
    started = time.time()
    search = subprocess.Popen(
        command,
        env=os.environ | {"ABLATUNE_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not any("training from" in log for log in _texts(folder)):
            if search.poll() is not None or time.time() - started > _SECONDS:
                raise SystemExit(f"No trial of {' '.join(command)} came to its first update.")
            time.sleep(0.02)
        phases = {
            "libraries of the driver": r"study \w+:",
            "data and encoder": "read data and encoder",
            "Ray": "Ray is up",
            "worker with its libraries": "worker process",
            "first update": "training from",
        }
        lines = [line for text in _texts(folder) for line in text.splitlines()]
        return {
            phase: min(_time(line) for line in lines if re.search(pattern, line)) - started
            for phase, pattern in phases.items()
        }
    finally:
        search.send_signal(signal.SIGINT)
        search.wait()


def _texts(folder: Path) -> list[str]:
    logs = [folder / "log.txt", *folder.glob("trials/*/log.txt")]
    return [log.read_text(encoding="utf-8") for log in logs if log.exists()]


def _time(line: str) -> float:
    """Seconds since 1970 at which a log's line was written."""
    return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").timestamp()


def marked_train(
    config: Any, tasks: Any, corpus: Corpus, *given: Any, marks: Path, workers: int, **more: Any
) -> None:
    """The training of a trial, evaluated on few examples, that leaves a mark and ends when all
    workers have left one."""
    mark = {"process": os.getpid(), "before": private_bytes(), "files": open_files()}
    encoder, accelerator, report = given
    splits = {
        task: {**by_split, DEV: by_split[DEV].rows(slice(_DEV))}  # type: ignore[arg-type]
        for task, by_split in corpus.splits.items()
    }

    def marked_report(epoch: float, metrics: Metrics, save: Save) -> bool:
        mark["training"] = private_bytes()
        with marks.open("a", encoding="utf-8") as file:
            file.write(json.dumps(mark) + "\n")
        deadline = time.monotonic() + _SECONDS
        while len({m["process"] for m in _read(marks)}) < workers and time.monotonic() < deadline:
            time.sleep(0.1)
        return bool(report(epoch, metrics, save))

    few = replace(corpus, splits=splits)
    train(config, tasks, few, encoder, accelerator, marked_report, **more)


def search_trials(data: str, trials: int, workers: int, scratch: Path) -> tuple[Marks, list[float]]:
    """Run trials in so many workers; their marks, and each worker's gaps between trials in
    seconds."""
    folder = StudyFolder(scratch / f"{workers} workers")
    file = scratch / f"marks of {workers}.jsonl"
    training = partial(marked_train, marks=file, workers=workers)
    _run(_study(data, trials, workers, _SHORT), folder, training)
    return _read(file), _gaps(folder)


def watched_train(*given: Any, marks: Path, asked_to_end: Ask, **more: Any) -> None:
    """The training of a trial, unchanged, that leaves a mark at each report: what its process
    holds, and the most that it has held so far."""
    *before, report = given
    first = most = 0

    def watched_ask() -> bool:
        nonlocal first, most
        held = private_bytes()
        first, most = first or held, max(most, held)
        return asked_to_end()

    def watched_report(epoch: float, metrics: Metrics, save: Save) -> bool:
        mark = {"epoch": epoch, "first": first, "held": private_bytes(), "most": most}
        with marks.open("a", encoding="utf-8") as file:
            file.write(json.dumps(mark) + "\n")
        return bool(report(epoch, metrics, save))

    train(*before, watched_report, asked_to_end=watched_ask, **more)


def long_training(data: str, epochs: int, scratch: Path) -> Marks:
    """The marks of one training as users have it."""
    file = scratch / "long.jsonl"
    study = _study(data, 1, 1, {"samples_per_epoch": _SAMPLES, "epochs": epochs})
    _run(study, StudyFolder(scratch / "long"), partial(watched_train, marks=file))
    return _read(file)


def _run(study: StudyFile, folder: StudyFolder, training: Callable[..., None]) -> None:
    with _ray(study.resources.concurrent or 1):
        run(study, folder, quiet=True, training=training)


def _read(marks: Path) -> Marks:
    return [json.loads(line) for line in marks.read_text(encoding="utf-8").splitlines()]


def _gaps(folder: StudyFolder) -> list[float]:
    """Seconds from the last line of a trial's log to the first update of the next trial in the same
    process."""
    ended: dict[str, float] = {}
    gaps = []
    for log in sorted(folder.trials.glob("*/log.txt")):
        text = log.read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if re.match(r"\d{4}-", line)]
        (process,) = re.findall(r"worker process (\d+)", text)
        if process in ended:
            first = next(line for line in lines if "training from" in line)
            gaps.append(_time(first) - ended[process])
        ended[process] = _time(lines[-1])
    return gaps


def _study(data: str, trials: int, workers: int, size: Mapping[str, int]) -> StudyFile:
    tables: dict[str, Mapping[str, Any]] = {
        "data": {"path": data},
        "space": {
            "pooling": ["mean", "cls", "max"],
            "jaccard": [True, False],
            "encoder_learning_rate": {"low": 1e-6, "high": 1e-4, "log": True},
            **size,
        },
        "search": {"trials": trials, "scheduler": "none", "keep": 1},
        "resources": {"concurrent": workers},
    }
    return parse_study(tables, "costs", "costs")


@contextmanager
def _ray(cpus: int) -> Iterator[None]:
    ray.init(
        address="local",
        num_cpus=cpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        runtime_env={"env_vars": WORKER_ENVIRONMENT},
    )
    try:
        yield
    finally:
        ray.shutdown()


def show(result: dict[str, Any]) -> None:
    about = result["machine"]
    print(f"{about['cpu']}, {os.cpu_count()} cores, load before {about['load']:.1f}, ", end="")
    print(f"torch {about['torch']}, data: {result['data']}\n")
    print(f"{'cold start: seconds from the command':45} {'corpus new':>12} {'on disk':>12}")
    for phase in result["cold_start"]["corpus on disk"]:
        first, second = (seconds[phase] for seconds in result["cold_start"].values())
        print(f"  {phase:43} {first:12.1f} {second:12.1f}")
    print(f"\n{'from a trial to the next: seconds':45} {'median':>12} {'min-max':>12}")
    for name, gaps in result["gaps"].items():
        span = f"{gaps['min']:.2f}-{gaps['max']:.2f}"
        print(f"  {name:43} {gaps['median']:12.2f} {span:>12}")
    print(f"\n{'private memory of a worker: MiB':45} {'training':>12} {'between':>12}")
    for workers, held in result["memory"].items():
        print(
            f"  {workers + ' workers, largest':43} {held['training']:12.0f} {held['between']:12.0f}"
        )
    print(f"\n{'one worker, at the start of trial':45} {'private MiB':>12} {'open files':>12}")
    for trial, held in result["growth"].items():
        print(f"  {trial:43} {held['private_mib']:12.0f} {held['open_files']:12}")
    epochs = result["training"]["after_epoch"]
    print(f"\n{'one training of ' + str(len(epochs)) + ' epochs':45} {'private MiB':>12}")
    print(f"  {'before its first update':43} {result['training']['first_mib']:12.0f}")
    for epoch, held in epochs.items():
        print(f"  {'after epoch ' + epoch:43} {held:12.0f}")
    print(f"  {'most':43} {result['training']['most_mib']:12.0f}")


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values)}


def _memory(marks: Marks) -> dict[str, float]:
    return {
        "training": max(mark["training"] for mark in marks) / 2**20,
        "between": max(mark["before"] for mark in marks) / 2**20,
    }


def _growth(marks: Marks) -> dict[str, dict[str, float]]:
    trials = sorted({1, 2, 10, 50, 100, 200, len(marks)})
    return {
        str(trial): {
            "private_mib": marks[trial - 1]["before"] / 2**20,
            "open_files": marks[trial - 1]["files"],
        }
        for trial in trials
        if trial <= len(marks)
    }


def _training(marks: Marks) -> dict[str, Any]:
    last = marks[-1]
    return {
        "samples": _SAMPLES,
        "first_mib": last["first"] / 2**20,
        "after_epoch": {str(mark["epoch"]): mark["held"] / 2**20 for mark in marks},
        "most_mib": last["most"] / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="20 trials, 2 epochs: a few minutes")
    parser.add_argument("--data", default="embedded", metavar="FOLDER")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=6, help="of the long training")
    options = parser.parse_args()
    trials, epochs = (20, 2) if options.quick else (options.trials, options.epochs)
    about = machine() | {"load": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="ablatune-") as name:
        scratch = Path(name)
        os.environ["ABLATUNE_CACHE"] = str(scratch / "cache")
        cold = {
            corpus: cold_start(options.data, scratch / corpus, scratch / "cache")
            for corpus in ("corpus new", "corpus on disk")
        }
        one, gaps = search_trials(options.data, trials, 1, scratch)
        several = {}
        for workers in (2,) if options.quick else (2, 8):
            several[str(workers)], _ = search_trials(options.data, 2 * workers, workers, scratch)
        long = long_training(options.data, epochs, scratch)
        with _ray(1):
            stock = stock_gaps(options.data, 3 if options.quick else 6)
    result = {
        "benchmark": "trial",
        "machine": about,
        "data": data_kind(options.data),
        "cold_start": cold,
        "gaps": {"ablatune": _spread(gaps), "stock trial of Ray Tune": _spread(stock)},
        "memory": {workers: _memory(marks) for workers, marks in several.items()},
        "growth": _growth(one),
        "training": _training(long),
    }
    show(result)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
