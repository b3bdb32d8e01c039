"""Dropout (Srivastava et al. 2014) that is cheap on a CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Dropout(nn.Module):
    """`torch.nn.Dropout`, several times faster on a CPU; the same random generator governs it."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0 <= probability < 1:
            raise ValueError(f"A dropout probability is in [0, 1), got {probability}.")
        self.probability = probability

    def forward(self, values: Tensor) -> Tensor:
        if values.device.type != "cpu":
            return F.dropout(values, self.probability, self.training)
        mask = self.mask(values)
        return values if mask is None else values * mask

    def mask(self, values: Tensor) -> Tensor | None:
        """What `values` have to be multiplied by, in their shape and dtype; None for all ones."""
        if not self.training or self.probability == 0:
            return None
        keep = torch.empty_like(values, memory_format=torch.contiguous_format)
        if values.device.type != "cpu":
            keep.bernoulli_(1 - self.probability)
        else:
            torch.ge(_bytes(values.numel()).view(values.shape), self._threshold(), out=keep)
        return keep.mul_(1 / (1 - self.probability))

    def _threshold(self) -> int:
        """The lowest byte, from -128, that is kept: rounded up or down at random, so that each
        element's probability is what was asked for and not a multiple of 1/256."""
        dropped = int(256 * self.probability + float(torch.rand(())))
        return min(dropped, 255) - 128


def _bytes(count: int) -> Tensor:
    """int8 (count,), uniform. Drawing is most of the price: one draw of 64 bits makes 8 of them."""
    draws = torch.empty((count + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    return draws.view(torch.int8)[:count]
