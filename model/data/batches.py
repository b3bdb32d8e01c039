"""How the examples of an update become one packed batch of all its tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from model.data.corpus import Corpus
from model.data.sampling import Sampling
from model.data.sequences import Sequences
from model.layers.packing import Packed
from model.machine.device import to_device
from model.tasks.task import Task
from spaces import Config


@dataclass(frozen=True)
class TaskBatch:
    """One task's share of a batch, on the device.

    `labels`, `jaccard`: fp32 (examples,). `total` counts the examples over all processes,
    `sequences` what the encoder reads for them in this one.
    """

    labels: Tensor
    jaccard: Tensor
    total: int
    sequences: int


@dataclass(frozen=True)
class Batch:
    """One update's examples of all its tasks.

    `sentences` are, task by task, the first ones and, for pairs, then the second ones, or, where
    pairs are encoded jointly, one sequence an example: packed, or embedded already by a frozen
    encoder, fp32 (sequences, hidden).
    """

    sentences: Packed | Tensor
    tasks: Mapping[str, TaskBatch]


class Embedded(Protocol):
    """The sequences of a corpus, embedded already because the encoder is frozen."""

    def prepare(self, numbers: np.ndarray) -> None:
        """Say which sequences will be asked for; all processes the same."""

    def __call__(self, numbers: np.ndarray) -> Tensor:
        """fp32 (sequences, hidden), on the device."""


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
    updates = Sampling.of(config, tasks, corpus).epoch(epoch)[first:end]
    splits = {task.name: corpus.training(task.name, bool(config.extra_data)) for task in tasks}
    sequences = Sequences.of(config, corpus)
    if frozen is not None:
        for name, split in splits.items():
            wanted = [update[name] for update in updates if name in update]
            if wanted:
                frozen.prepare(sequences.numbers(split.rows(np.concatenate(wanted))))
    for update in updates:
        numbers: list[np.ndarray] = []
        parts: dict[str, TaskBatch] = {}
        for name, chosen in update.items():
            mine = splits[name].rows(chosen[process::processes])
            numbers.append(sequences.numbers(mine))
            parts[name] = TaskBatch(
                to_device(mine.labels, device),
                to_device(mine.jaccard, device),
                total=len(chosen),
                sequences=len(numbers[-1]),
            )
        together = np.concatenate(numbers)
        if frozen is not None:
            yield Batch(frozen(together), parts)
        else:
            yield Batch(sequences.pack(together, device), parts)
