"""Which examples an epoch trains on, and how they become one packed batch of all tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from model.corpus import Corpus, Split
from model.device import to_device
from model.packing import Packed, pack
from model.tasks import Task
from spaces import Config, UserError


@dataclass(frozen=True)
class TaskBatch:
    """One task's share of a batch, on the device.

    `labels`, `jaccard`: fp32 (examples,). `total` counts the examples over all processes.
    """

    labels: Tensor
    jaccard: Tensor
    total: int


@dataclass(frozen=True)
class Batch:
    """One update's examples of all tasks.

    `sentences` are, task by task, the first ones and, for pairs, then the second ones: packed, or
    embedded already by a frozen encoder, fp32 (sentences, hidden).
    """

    sentences: Packed | Tensor
    tasks: Mapping[str, TaskBatch]


class Embedded(Protocol):
    """The sentences of a corpus, embedded already because the encoder is frozen."""

    def prepare(self, numbers: np.ndarray) -> None:
        """Say which sentences will be asked for; all processes the same."""

    def __call__(self, numbers: np.ndarray) -> Tensor:
        """fp32 (sentences, hidden), on the device."""


def updates_per_epoch(config: Config) -> int:
    """Every update takes about `batch_size` examples of each task."""
    return max(1, round(config.samples_per_epoch / config.batch_size))


def updates_until(config: Config, epoch: float) -> int:
    """The updates that `epoch` epochs of training take, at least one."""
    return max(1, round(epoch * updates_per_epoch(config)))


def check_processes(config: Config, processes: int) -> None:
    """Raise UserError if some process would have nothing to do in an update."""
    fewest = config.samples_per_epoch // updates_per_epoch(config)
    if fewest < processes:
        raise UserError(
            f"batch_size {config.batch_size} and samples_per_epoch {config.samples_per_epoch} make "
            f"updates of {fewest} examples of each task, too few for {processes} processes."
        )


def draw(examples: int, samples: int, seed: Sequence[int]) -> np.ndarray:
    """The numbers of the examples of an epoch: a random subset, in random order.

    int64 (samples,). Where there are fewer examples than samples, each comes as often as any
    other, give or take one: whole permutations and then a part of one.
    """
    generator = np.random.default_rng(seed)
    rounds = -(-samples // examples)
    return np.concatenate([generator.permutation(examples) for _ in range(rounds)])[:samples]


def epoch_batches(
    config: Config,
    tasks: Sequence[Task],
    corpus: Corpus,
    epoch: int,
    device: torch.device,
    process: int = 0,
    processes: int = 1,
    first: int = 0,
    end: int | None = None,
    frozen: Embedded | None = None,
) -> Iterator[Batch]:
    """The batches of an epoch (from 1), the part of one process, from its update `first` on to
    before `end`.

    The draw depends on the seed, the epoch and the task alone: any number of processes together
    see the same batches as one.
    """
    updates = range(updates_per_epoch(config))[first:end]
    drawn: dict[str, tuple[Split, list[np.ndarray]]] = {}
    for number, task in enumerate(tasks):
        split = corpus.training(task.name, config.extra_data)
        chosen = draw(len(split), config.samples_per_epoch, (config.seed, epoch, number))
        drawn[task.name] = split, np.array_split(chosen, updates_per_epoch(config))
    if frozen is not None:
        for split, chosen_by_update in drawn.values():
            chosen = np.concatenate(chosen_by_update[updates.start : updates.stop])
            frozen.prepare(split.rows(chosen).sentences())
    for update in updates:
        sentences: list[np.ndarray] = []
        parts: dict[str, TaskBatch] = {}
        for name, (split, chosen_by_update) in drawn.items():
            chosen = chosen_by_update[update]
            mine = split.rows(chosen[process::processes])
            sentences.append(mine.sentences())
            parts[name] = TaskBatch(
                to_device(mine.labels, device), to_device(mine.jaccard, device), len(chosen)
            )
        numbers = np.concatenate(sentences)
        if frozen is not None:
            yield Batch(frozen(numbers), parts)
        else:
            yield Batch(pack_sentences(corpus, numbers, config.max_length, device), parts)


def pack_sentences(
    corpus: Corpus, numbers: np.ndarray, max_length: int, device: torch.device
) -> Packed:
    """Sentences of the corpus as one packed batch on the device."""
    packed = pack([corpus.sentence(int(number), max_length) for number in numbers])
    return packed.pin_memory().to(device, non_blocking=True)
