"""Scoring a network: each different sequence is encoded once, packed with its like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from model.data.batches import Embedded
from model.data.sequences import Sequences
from model.layers.linear import ROWS
from model.machine.device import to_device
from model.network.network import Network
from model.tasks.task import Task

TOKENS_AT_ONCE = 2 * ROWS  # takes a sixth less CPU time than 8,192
"""How many tokens an evaluation encodes at once, be there as many or not."""
_FILLING = 16


@dataclass(frozen=True)
class Evaluation:
    """One task on one split: `predictions` (examples,), the mean `loss`, and the `score`, NaN where
    the metric is not defined."""

    predictions: np.ndarray
    loss: float
    score: float


@torch.no_grad()
def evaluate(
    network: Network,
    tasks: Sequence[Task],
    sequences: Sequences,
    split: str,
    accelerator: Accelerator,
    frozen: Embedded | None = None,
) -> dict[str, Evaluation]:
    """Loss and score of each task; all processes share the work and get the same answer.

    The network is left in evaluation mode. Where its encoder is frozen, `frozen` has the
    embeddings.
    """
    network.eval()
    device = accelerator.device
    parts = {task.name: sequences.corpus.splits[task.name][split] for task in tasks}
    wanted = {name: sequences.numbers(part) for name, part in parts.items()}
    numbers = np.unique(np.concatenate([*wanted.values()]))
    if frozen is None:
        table = embed(network, sequences, numbers, accelerator)
    else:
        frozen.prepare(numbers)
        table = frozen(numbers)
    inputs = {}
    for name, part in parts.items():
        rows = to_device(np.searchsorted(numbers, wanted[name]), device)
        inputs[name] = table[rows], to_device(part.jaccard, device)
    outputs = network.head_outputs(inputs)
    results = {}
    for task in tasks:
        part, output = parts[task.name], outputs[task.name]
        loss = task.loss(output, to_device(part.labels, device)).mean()
        predictions = task.predict(output).cpu().numpy()
        score = task.metric(predictions, part.labels)
        results[task.name] = Evaluation(predictions, float(loss), score)
    return results


def embed(
    network: Network, sequences: Sequences, numbers: np.ndarray, accelerator: Accelerator
) -> Tensor:
    """fp32 (sequences, hidden) of the sequences `numbers`; each process encodes its share.

    On one machine and in one precision a sequence's embedding is the same, bit for bit, in
    whatever company it is embedded: the products always have the same shapes.
    """
    device = accelerator.device
    lengths = sequences.lengths(numbers)
    order = np.argsort(-lengths, kind="stable")  # longest first: the most memory at once
    mine = order[accelerator.process_index :: accelerator.num_processes]
    table = torch.zeros(len(numbers), network.encoder.shape.hidden, device=device)
    for chunk in _chunks(mine, lengths):
        filling = _filling(TOKENS_AT_ONCE - int(lengths[chunk].sum()))
        packed = sequences.pack(numbers[chunk], device, filling)
        with accelerator.autocast():
            embedded = network.embed(packed)
        table[to_device(chunk, device)] = embedded[: len(chunk)]
    if accelerator.num_processes > 1:
        table = accelerator.reduce(table)
    return table


def _chunks(order: np.ndarray, lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Consecutive pieces of `order` of at most TOKENS_AT_ONCE tokens."""
    ends = np.cumsum(lengths[order])
    first = 0
    while first < len(order):
        before = ends[first - 1] if first else 0
        end = max(first + 1, int(np.searchsorted(ends, before + TOKENS_AT_ONCE, side="right")))
        yield order[first:end]
        first = end


def _filling(tokens: int) -> list[np.ndarray]:
    """Sequences without meaning that fill a piece up; together they are `tokens` long."""
    lengths = [_FILLING] * (tokens // _FILLING) + [tokens % _FILLING]
    return [np.zeros(length, dtype=np.int32) for length in lengths if length]
