"""Poolings equal their definitions on padded sentences, in value and in gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from model.corpus import Corpus
from model.network import build_network
from model.packing import Packed, pack
from model.pooling import pool
from model.pretrained import Pretrained
from model.tasks import ALL_TASKS
from spaces import Config

LENGTHS = [3, 1, 7, 4]
POOLINGS = ["mean", "cls", "max"]


def states(lengths: list[int]) -> tuple[Tensor, Packed]:
    """Random states, (tokens, 5), of sentences of these lengths."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(sum(lengths), 5, generator=generator)
    return hidden.requires_grad_(), pack([np.arange(1, length + 1) for length in lengths])


def padded(pooling: str, hidden: Tensor, lengths: list[int]) -> Tensor:
    """The same on a padded tensor with a mask, (sentences, 5)."""
    table = torch.nn.utils.rnn.pad_sequence(list(hidden.split(lengths)), batch_first=True)
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).unsqueeze(2)
    match pooling:
        case "mean":
            return (table * mask).sum(1) / mask.sum(1)
        case "max":
            return table.masked_fill(~mask, -torch.inf).amax(1)
    return table[:, 0]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_equals_a_padded_reference(pooling: str) -> None:
    hidden, packed = states(LENGTHS)
    torch.testing.assert_close(pool(pooling, hidden, packed), padded(pooling, hidden, LENGTHS))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_gradient_equals_a_padded_references(pooling: str) -> None:
    hidden, packed = states(LENGTHS)
    direction = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    (ours,) = torch.autograd.grad((pool(pooling, hidden, packed) * direction).sum(), hidden)
    reference = (padded(pooling, hidden, LENGTHS) * direction).sum()
    (theirs,) = torch.autograd.grad(reference, hidden)
    torch.testing.assert_close(ours, theirs)


def test_poolings_by_hand() -> None:
    hidden = torch.tensor([[1.0, 5], [3, -1], [2, 2]])
    packed = pack([np.array([1, 2]), np.array([3])])
    assert pool("mean", hidden, packed).tolist() == [[2, 2], [2, 2]]
    assert pool("cls", hidden, packed).tolist() == [[1, 5], [2, 2]]
    assert pool("max", hidden, packed).tolist() == [[3, 5], [2, 2]]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_bf16_states_are_pooled_in_fp32(pooling: str) -> None:
    hidden, packed = states(LENGTHS)
    half = hidden.bfloat16()
    pooled = pool(pooling, half, packed)
    assert pooled.dtype == torch.float32
    torch.testing.assert_close(pooled, padded(pooling, half.float(), LENGTHS))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_longer_company_changes_nothing(
    pooling: str, corpus: Corpus, pretrained: Pretrained
) -> None:
    network = build_network(Config(pooling=pooling), ALL_TASKS, pretrained).eval()
    by_length = np.argsort(np.diff(corpus.offsets))
    few = [corpus.sentence(int(number), 99) for number in by_length[:3]]
    longer = [corpus.sentence(int(number), 99) for number in by_length[-4:]]
    with torch.no_grad():
        alone, together = network.embed(pack(few)), network.embed(pack([*few, *longer]))
    torch.testing.assert_close(together[:3], alone, rtol=0, atol=1e-6)
