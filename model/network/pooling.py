"""Makes one embedding of each sentence, from the token embeddings of packed sentences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from model.layers.packing import Packed
from model.machine.device import to_device


def _mean(hidden: Tensor, packed: Packed) -> Tensor:
    """The mean over a sentence's tokens, [CLS] and [SEP] included (Reimers and Gurevych 2019)."""
    return _sum(hidden, packed) / to_device(packed.lengths, hidden.device).unsqueeze(1)


def _cls(hidden: Tensor, packed: Packed) -> Tensor:
    """The first token's embedding."""
    starts = np.cumsum(packed.lengths) - packed.lengths
    return hidden.index_select(0, to_device(starts, hidden.device))


def _max(hidden: Tensor, packed: Packed) -> Tensor:
    """The maximum of each dimension over a sentence's tokens."""
    lengths = to_device(packed.lengths, hidden.device)
    return torch.segment_reduce(hidden, "max", lengths=lengths, axis=0)


def _attention(hidden: Tensor, packed: Packed, query: Tensor) -> Tensor:
    """The mean over a sentence's tokens, each weighted by the softmax of its product with `query`
    (Yang et al. 2016, 2.2, on the states as they are)."""
    scores = (hidden @ query).unsqueeze(1)  # (tokens, 1)
    highest = _max(scores.detach(), packed).index_select(0, _owners(packed, hidden.device))
    weights = (scores - highest).exp()
    return _sum(weights * hidden, packed) / _sum(weights, packed)


def _sum(values: Tensor, packed: Packed) -> Tensor:
    """(tokens, width) -> (sentences, width)"""
    total = values.new_zeros(len(packed.lengths), values.shape[1])
    return total.index_add(0, _owners(packed, values.device), values)


def _owners(packed: Packed, device: torch.device) -> Tensor:
    """int64 (tokens,): the place of each token's sentence."""
    return to_device(np.repeat(np.arange(len(packed.lengths)), packed.lengths), device)


_POOLINGS: dict[str, Callable[[Tensor, Packed], Tensor]] = {
    "mean": _mean,
    "cls": _cls,
    "max": _max,
}


class Pooling(nn.Module):
    """One embedding a sequence, from the mean of its tokens' states in the last `layers` layers.

    `kind` is a value of the factor `pooling`. "attention" learns a vector that starts at 0, where
    it is the mean.
    """

    def __init__(self, kind: str, layers: int, hidden: int) -> None:
        super().__init__()
        self.kind, self.layers = kind, layers
        self.query = nn.Parameter(torch.zeros(hidden)) if kind == "attention" else None

    def forward(self, hidden: Tensor, packed: Packed) -> Tensor:
        """(tokens, hidden) of any floating dtype -> fp32 (sequences, hidden)."""
        if self.query is not None:
            return _attention(hidden.float(), packed, self.query)
        return _POOLINGS[self.kind](hidden.float(), packed)
