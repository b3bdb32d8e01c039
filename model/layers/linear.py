"""Linear maps that are cheap where no gradient is asked for."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROWS = 1024
"""oneDNN prepares a fused map anew for each number of rows, and keeps megabytes of it: it is used
for multiples of this number only."""

_FUSED = (
    torch.backends.mkldnn.is_available()
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    and torch.ops.mkldnn._is_mkldnn_bf16_supported()
)


class Linear(nn.Linear):
    """`torch.nn.Linear`. In bf16 on a CPU PyTorch first copies the bias into the result, which
    costs up to a sixth of the product; without gradients it is added while that is written."""

    def forward(self, input: Tensor) -> Tensor:
        """(tokens, in) -> (tokens, out)"""
        return self._fused(input, "none") if _is_fused(input) else super().forward(input)

    def gelu(self, input: Tensor) -> Tensor:
        """The exact GELU (arXiv 1606.08415) of the map's output, computed in the same pass where
        that is possible."""
        return self._fused(input, "gelu") if _is_fused(input) else F.gelu(super().forward(input))

    def _fused(self, input: Tensor, activation: str) -> Tensor:
        weight, bias = self.weight.to(input.dtype), self.bias.to(input.dtype)
        result: Tensor = torch.ops.mkldnn._linear_pointwise(
            input, weight, bias, activation, [], "none" if activation == "gelu" else ""
        )
        return result


def _is_fused(values: Tensor) -> bool:
    return (
        _FUSED
        and not torch.is_grad_enabled()
        and values.dtype == torch.bfloat16
        and values.device.type == "cpu"
        and len(values) % ROWS == 0
    )
