"""Poolings equal their definitions on padded sentences, in value and in gradient."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model.data.corpus import Corpus
from model.encoder.pretrained import Pretrained
from model.layers.packing import Packed, pack
from model.network.network import build_network
from model.network.pooling import Pooling
from model.tasks.shipped import ALL_TASKS
from spaces import Config, UserError

LENGTHS = [3, 1, 7, 4]
POOLINGS = ["mean", "cls", "max", "attention"]
QUERY = torch.tensor([0.5, -1.0, 2.0, 0.0, 30.0])


def states(lengths: list[int]) -> tuple[Tensor, Packed]:
    """Random states, (tokens, 5), of sentences of these lengths."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(sum(lengths), 5, generator=generator)
    return hidden.requires_grad_(), pack([np.arange(1, length + 1) for length in lengths])


def pool(pooling: str, hidden: Tensor, packed: Packed) -> Tensor:
    made = Pooling(pooling, 1, hidden.shape[1])
    if made.query is not None:
        made.query.data = QUERY
    result: Tensor = made(hidden, packed)
    return result


def padded(pooling: str, hidden: Tensor, lengths: list[int]) -> Tensor:
    """The same on a padded tensor with a mask, (sentences, 5)."""
    table = torch.nn.utils.rnn.pad_sequence(list(hidden.split(lengths)), batch_first=True)
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).unsqueeze(2)
    match pooling:
        case "mean":
            return (table * mask).sum(1) / mask.sum(1)
        case "max":
            return table.masked_fill(~mask, -torch.inf).amax(1)
        case "attention":
            scores = (table @ QUERY).unsqueeze(2).masked_fill(~mask, -torch.inf)
            return (table * scores.softmax(1)).sum(1)
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


def test_attention_by_hand() -> None:
    """Scores of ln 3 and 0 are weights of 3/4 and 1/4."""
    hidden = torch.tensor([[1.0, 5], [0, 1], [2, 2]])
    pooling = Pooling("attention", 1, 2)
    pooling.query = nn.Parameter(torch.tensor([math.log(3.0), 0]))
    found = pooling(hidden, pack([np.array([1, 2]), np.array([3])]))
    torch.testing.assert_close(found, torch.tensor([[0.75, 4], [2, 2]]))


def test_attention_begins_as_the_mean_and_learns_from_there() -> None:
    hidden, packed = states(LENGTHS)
    pooling = Pooling("attention", 1, 5)
    found = pooling(hidden, packed)
    torch.testing.assert_close(found, pool("mean", hidden, packed))
    found.square().sum().backward()
    assert pooling.query is not None
    assert pooling.query.grad is not None
    assert pooling.query.grad.abs().min() > 1e-3


@pytest.mark.parametrize("half", [False, True])
def test_the_last_layers_states_are_averaged_in_fp32(
    half: bool, corpus: Corpus, pretrained: Pretrained
) -> None:
    network = build_network(Config(pooled_layers=2), ALL_TASKS, pretrained).eval()
    kept: list[Tensor] = []
    for layer in network.encoder.layers:
        layer.register_forward_hook(lambda _m, _i, out: kept.append(out.float()))
    packed = pack([corpus.sentence(number, 99) for number in range(5)])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        found = network.embed(packed)
    torch.testing.assert_close(found, pool("mean", (kept[0] + kept[1]) / 2, packed))


def test_more_layers_than_the_encoder_has_are_refused(pretrained: Pretrained) -> None:
    with pytest.raises(UserError, match=r"pooled_layers is 3, but the encoder .* has 2 layers"):
        build_network(Config(pooled_layers=3), ALL_TASKS, pretrained)


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
