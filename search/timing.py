"""Timing a few real steps of some configurations, as the workers of a search would do them.

    python -m search.timing    # what `ablatune plan` starts, once for each process

As many processes as would run side by side work at the same time, each through all configurations
from another one on: a core that is alone is faster than one that shares its memory and caches. They
train by `model.train` itself, on real batches with the real network, in the precision, with the
threads and in the environment of workers, and evaluate on a part of the dev sets. What they write,
checkpoints and a frozen encoder's embeddings, goes to a folder that is removed.
"""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from model import (
    ALL_TASKS,
    DEV,
    EXTRA,
    TRAIN,
    Corpus,
    Material,
    Metrics,
    Sampling,
    Save,
    Sequences,
    build_network,
    embeds_once,
    evaluate,
    load_material,
    make_accelerator,
    release_memory,
    train,
)
from spaces import Config, ResourceSettings, StudyFile, UserError

_NICENESS = 15  # what Ray gives its workers; where others want the cores, it tells
_SECONDS = 4.0  # of updates of one configuration in one process
_UPDATES = (1, 2, 4, 8, 16, 32)  # the trial is timed between these; what is before 2 warms it up
_WARM = 2
_TOKENS = 2048  # that an evaluation encodes at once, be there as many or not
_DEV_TOKENS = 3 * _TOKENS


@dataclass(frozen=True)
class Timed:
    """Seconds of one configuration in one process."""

    update: float
    evaluation: float
    """On the whole dev sets."""
    save: float
    """Both checkpoints."""
    start: float
    """From the beginning of a trial to its first update."""
    embedding: float
    """All sequences, once; 0 where the encoder is trained."""


@dataclass(frozen=True)
class Timings:
    """`timed[i]` has what each process found of configuration i. `ready` seconds passed until a
    process had its libraries and data."""

    timed: Sequence[Sequence[Timed]]
    ready: float


def slots_here(resources: ResourceSettings) -> int:
    """How many trials run side by side on this machine, 0 where it is too small for one."""
    slots = (os.cpu_count() or 1) // (resources.cpus * resources.processes)
    gpus = _gpus(resources)
    if gpus:
        slots = min(slots, int(torch.cuda.device_count() // (gpus * resources.processes)))
    return slots if resources.concurrent is None else min(slots, resources.concurrent)


def _gpus(resources: ResourceSettings) -> float:
    """Of a process."""
    usual = 1.0 if torch.cuda.is_available() else 0.0
    return usual if resources.gpus is None else resources.gpus


def time_steps(study: StudyFile, configs: Sequence[Config], slots: int) -> Timings:
    """Time each configuration in `slots` trials side by side.

    Raises:
        UserError: if a process fails.
    """
    started = time.perf_counter()
    with ExitStack() as stack:
        processes = [
            stack.enter_context(_Process(environment))
            for slot in range(slots)
            for environment in _environments(study.resources, slot)
        ]
        per_trial = study.resources.processes
        for number, process in enumerate(processes):
            slot = number // per_trial
            first = slot * len(configs) // slots
            order = [*range(first, len(configs)), *range(first)]
            process.send(pickle.dumps((study, list(configs), order)))
        for process in processes:
            process.line()
        ready = time.perf_counter() - started
        for process in processes:
            process.send(b"go\n")
        found = [json.loads(process.line()) for process in processes]
    first_ones = found[::per_trial]  # the first process of each trial
    timed = [[Timed(**one[str(i)]) for one in first_ones] for i in range(len(configs))]
    return Timings(timed, ready)


def _environments(resources: ResourceSettings, slot: int) -> Iterator[dict[str, str]]:
    """Of the processes of one trial, as `search.run` and `search.team` set them."""
    from search.run import _WORKER_ENVIRONMENT

    root = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    common = _WORKER_ENVIRONMENT | {"OMP_NUM_THREADS": str(resources.cpus), "PYTHONPATH": path}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    for rank in range(resources.processes):
        environment = dict(common)
        gpus = _gpus(resources)
        if gpus and torch.cuda.is_available():
            device = int((slot * resources.processes + rank) * gpus)
            environment["CUDA_VISIBLE_DEVICES"] = str(device)
        if resources.processes > 1:
            world = {"RANK": rank, "WORLD_SIZE": resources.processes, "LOCAL_RANK": 0}
            environment |= {name: str(value) for name, value in world.items()}
            environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        yield environment


class _Process:
    """One process that times, and ends with the block that it is used in, whatever happens."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed with the block
        # With -P a folder of the user's that is called `search` is not taken for ours.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "search.timing"],
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()  # It has said all that it had to say.
        with self._process, self._errors:
            pass

    def send(self, content: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(content)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._failure() from None

    def line(self) -> bytes:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._failure()
        return line

    def _failure(self) -> UserError:
        self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        why = said[-1] if said else f"a process ended with {self._process.returncode}"
        return UserError(f"Steps could not be timed ({why}); --no-timing plans without.")


def time_config(
    study: StudyFile, config: Config, material: Material, accelerator: Accelerator, scratch: Path
) -> Timed:
    """Time one configuration in this process."""
    corpus = material.corpus
    few = _with_few_dev(corpus, config)
    evaluation_share = _chunks(config, corpus, DEV) / _chunks(config, few, DEV)
    embedding = 0.0
    if embeds_once(config):
        # Trained twice: what is timed is the heads alone, when the embeddings lie in the cache.
        _train(study, config, few, material, accelerator, scratch)
        embedding = _embedding(config, corpus, few, material, accelerator)
    found, start, save = _train(study, config, few, material, accelerator, scratch)
    # Updates differ, but evaluations are the same.
    update = sum(one.trained for one in found) / sum(one.number for one in found)
    evaluation = median(one.evaluated for one in found) * evaluation_share
    return Timed(update, evaluation, save, start, embedding)


@dataclass(frozen=True)
class _Part:
    """Between two reports of a trial: updates done before its end, those since the last report,
    and the seconds of these and of the evaluation."""

    updates: int
    number: int
    trained: float
    evaluated: float


def _train(
    study: StudyFile,
    config: Config,
    few: Corpus,
    material: Material,
    accelerator: Accelerator,
    scratch: Path,
    updates: Sequence[int] = _UPDATES,
) -> tuple[list[_Part], float, float]:
    """Train some updates: their parts, but for those that warm up, the seconds before the first,
    and those of a save."""
    config = _mixed(config)
    sampling = Sampling.of(config, ALL_TASKS, few)
    per_epoch, examples = sampling.updates_per_epoch, sampling.examples_per_epoch
    # Where an update trains one task, it takes more of them to meet all.
    several = 1 if config.sampling == "balanced" else len(ALL_TASKS)
    last = per_epoch * config.epochs
    ends = sorted({min(several * count, last) for count in updates})
    parts: list[_Part] = []
    times = {"begun": time.perf_counter(), "start": 0.0, "save": 0.0, "warm": 0.0}

    def report(epoch: float, metrics: Metrics, save: Save) -> bool:
        now = time.perf_counter()
        done = sampling.updates_until(epoch)
        if not parts:
            times["start"] = now - times["begun"] - metrics["seconds"]
        number = done - (parts[-1].updates if parts else 0)
        trained = number * examples / per_epoch / metrics["examples_per_second"]
        parts.append(_Part(done, number, trained, max(0.0, metrics["seconds"] - trained)))
        if done <= several * _WARM:
            times["warm"] = now
        goes_on = done < ends[-1] and now - times["warm"] < _SECONDS
        if not goes_on:
            save(scratch / "checkpoint")
            times["save"] = time.perf_counter() - now
        return goes_on

    train(
        config,
        ALL_TASKS,
        few,
        material.encoder,
        accelerator,
        report,
        report_at=[end / per_epoch for end in ends if end < last],
        objective=study.search.objective,
    )
    warm = [part for part in parts if part.updates > several * _WARM] or parts[1:] or parts
    return warm, times["start"], times["save"]


def _mixed(config: Config) -> Config:
    """One whose first updates are like all: where tasks follow one another, they are drawn as
    often; and the rates do not matter, but a loss that diverges would."""
    slow = config.replace(encoder_learning_rate=1e-6, head_learning_rate=1e-5)
    return slow.replace(sampling="proportional") if config.sampling == "sequential" else slow


def _embedding(
    config: Config, corpus: Corpus, few: Corpus, material: Material, accelerator: Accelerator
) -> float:
    """Seconds to embed all sequences that a trial needs, from a few of the dev sets."""
    network = build_network(config, ALL_TASKS, material.encoder).to(accelerator.device)
    begun = time.perf_counter()
    evaluate(network, ALL_TASKS, Sequences.of(config, few), DEV, accelerator)
    seconds = time.perf_counter() - begun
    sampling = Sampling.of(config, ALL_TASKS, corpus)
    chunks = float(_chunks(config, corpus, DEV))
    for split in (TRAIN, EXTRA) if config.extra_data else (TRAIN,):
        whole = sum(len(s[split]) for s in corpus.splits.values() if split in s)
        drawn = min(1.0, sampling.examples_per_epoch * config.epochs / whole) if whole else 0.0
        chunks += _chunks(config, corpus, split) * drawn
    return seconds * chunks / _chunks(config, few, DEV)


def _with_few_dev(corpus: Corpus, config: Config) -> Corpus:
    """The corpus with as many dev examples of each task, drawn at random, as make a few chunks."""
    share = _DEV_TOKENS / max(1, _tokens(config, corpus, DEV))
    if share >= 1:
        return corpus
    random = np.random.default_rng(0)

    def some(count: int) -> np.ndarray:
        return np.sort(random.permutation(count)[: max(8, round(share * count))])

    splits = {
        task: {**by_split, DEV: by_split[DEV].rows(some(len(by_split[DEV])))}
        for task, by_split in corpus.splits.items()
    }
    return replace(corpus, splits=splits)


def _chunks(config: Config, corpus: Corpus, split: str) -> int:
    return max(1, -(-_tokens(config, corpus, split) // _TOKENS))


def _tokens(config: Config, corpus: Corpus, split: str) -> int:
    """Of the different sequences of a split."""
    sequences = Sequences.of(config, corpus)
    numbers = [sequences.numbers(s[split]) for s in corpus.splits.values() if split in s]
    if not numbers:
        return 0
    return int(sequences.lengths(np.unique(np.concatenate(numbers))).sum())


def main() -> None:
    """Read what is to be timed, say that everything is ready, wait, and write what was found."""
    given: tuple[StudyFile, list[Config], list[int]] = pickle.load(sys.stdin.buffer)
    study, configs, order = given
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What a library prints must not get among the results.
    os.nice(_NICENESS)
    torch.set_num_threads(study.resources.cpus)
    accelerator = make_accelerator(study.resources.precision)
    material = load_material(study)
    with tempfile.TemporaryDirectory(prefix="ablatune-") as folder:
        os.environ["ABLATUNE_CACHE"] = folder
        first, here = configs[order[0]], Path(folder)
        few = _with_few_dev(material.corpus, first)
        _train(study, first, few, material, accelerator, here, updates=(1,))  # loads libraries
        print("ready", file=out, flush=True)
        if not sys.stdin.buffer.readline():  # who asked is gone
            return
        found: dict[int, Any] = {}
        for number in order:
            release_memory()
            timed = time_config(study, configs[number], material, accelerator, here)
            found[number] = asdict(timed)
    print(json.dumps(found), file=out, flush=True)


if __name__ == "__main__":
    main()
