"""A process that times steps of some configurations, for `search.forecast.timing`.

    python -m search.forecast.timed_steps

It trains by `model.train` itself, on real batches with the real network, and evaluates on
a part of the dev sets. What it writes, checkpoints and a frozen encoder's embeddings, goes to a
folder that is removed.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Sequence
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
    TOKENS_AT_ONCE,
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
from spaces import Config, StudyFile

_NICENESS = 15  # as Ray gives its workers; it matters where others want the cores
_SECONDS = 4.0  # for the updates of one configuration in one process
_UPDATES = (1, 2, 4, 8, 16, 32)  # the trial is timed between these; what is before 2 warms it up
_WARM = 2
_DEV_TOKENS = 3 * TOKENS_AT_ONCE


@dataclass(frozen=True)
class Timed:
    """Seconds of one configuration in one process."""

    update: float
    evaluation: float
    """Seconds of one evaluation on the whole dev sets."""
    save: float
    """Seconds to save both checkpoints."""
    start: float
    """Seconds from the beginning of a trial to its first update."""
    embedding: float
    """Seconds to embed all sequences once; 0 where the encoder is trained."""


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
    """What happened between two reports of a trial: the updates done until its end, those since the
    last report, and the seconds of these and of the evaluation."""

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
    """Train some updates. The result has the parts between reports, without those that warm up, the
    seconds before the first update, and the seconds of a save."""
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
    """The configuration with first updates that are like all others. Tasks that would follow one
    another are drawn at random instead, as often; learning rates are small, for they cost no time,
    but a loss that diverges would end the timing."""
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
    return max(1, -(-_tokens(config, corpus, split) // TOKENS_AT_ONCE))


def _tokens(config: Config, corpus: Corpus, split: str) -> int:
    """How many tokens the different sequences of a split have together."""
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
