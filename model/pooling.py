"""From the token embeddings of packed sentences to one embedding a sentence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from model.device import to_device
from model.packing import Packed


def _mean(hidden: Tensor, packed: Packed) -> Tensor:
    """The mean over a sentence's tokens, [CLS] and [SEP] included (Reimers and Gurevych 2019)."""
    owner = to_device(np.repeat(np.arange(len(packed.lengths)), packed.lengths), hidden.device)
    total = hidden.new_zeros(len(packed.lengths), hidden.shape[1])  # (sentences, hidden)
    total = total.index_add(0, owner, hidden)
    return total / to_device(packed.lengths, hidden.device).unsqueeze(1)


def _cls(hidden: Tensor, packed: Packed) -> Tensor:
    """The first token's embedding."""
    starts = np.cumsum(packed.lengths) - packed.lengths
    return hidden.index_select(0, to_device(starts, hidden.device))


def _max(hidden: Tensor, packed: Packed) -> Tensor:
    """The maximum of each dimension over a sentence's tokens."""
    lengths = to_device(packed.lengths, hidden.device)
    return torch.segment_reduce(hidden, "max", lengths=lengths, axis=0)


_POOLINGS: dict[str, Callable[[Tensor, Packed], Tensor]] = {
    "mean": _mean,
    "cls": _cls,
    "max": _max,
}


def pool(pooling: str, hidden: Tensor, packed: Packed) -> Tensor:
    """(tokens, hidden) of any floating dtype -> fp32 (sentences, hidden)."""
    return _POOLINGS[pooling](hidden.float(), packed)
