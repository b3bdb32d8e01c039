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
            return keep.bernoulli_(1 - self.probability).mul_(1 / (1 - self.probability))
        # Drawing is most of the price of dropout on a CPU: one draw of 64 bits serves 4 elements.
        draws = torch.empty((values.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        bits = draws.view(torch.int16)[: values.numel()].view(values.shape)
        torch.ge(bits, round(self.probability * 2**16) - 2**15, out=keep)
        return keep.mul_(1 / (1 - self.probability))
