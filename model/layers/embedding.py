"""A table of embeddings whose gradient costs what the tokens of a step cost, not the vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakMethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import FunctionCtx


class Embedding(nn.Embedding):
    """`torch.nn.Embedding` with the same gradient, dense, several times cheaper on a CPU.

    Of a vocabulary's rows an update meets a few hundred; PyTorch allocates and clears all of them
    each time. Here the last gradient's memory is used again once the optimizer has let go of it,
    and only the rows that it had are cleared.
    """

    def __init__(self, rows: int, width: int) -> None:
        super().__init__(rows, width)
        self._last: tuple[Tensor, Tensor] | None = None  # a gradient and the rows that it has
        self._made: tuple[int, Tensor] | None = None  # the same, while autograd is its only owner
        self._watched: tuple[Tensor, ...] = ()  # the weights, which loading may replace

    def forward(self, input: Tensor) -> Tensor:
        """int64 (tokens,) -> (tokens, width)"""
        weight = self.weight
        # Processes average their gradients in place, and so write rows that they have not met.
        if not weight.requires_grad or weight.is_cuda or torch.distributed.is_initialized():
            return super().forward(input)
        if not self._watched or self._watched[0] is not weight:
            weight.register_post_accumulate_grad_hook(_weak(self._keep))
            self._watched = (weight,)
        rows: Tensor = _Lookup.apply(weight, input, self)  # type: ignore[no-untyped-call]
        return rows

    def gradient(self, tokens: Tensor, gradient: Tensor) -> Tensor:
        """The table's gradient from that of the rows looked up, (tokens, width)."""
        if self._last is None or self.weight.grad is not None:
            table = torch.zeros_like(self.weight)
        else:
            table, rows = self._last
            table.index_fill_(0, rows, 0.0)
        self._last = None  # One more owner, and autograd would copy it.
        self._made = table.data_ptr(), tokens
        return table.index_add_(0, tokens, gradient)

    def _keep(self, weight: Tensor) -> None:
        """Keep the gradient's memory for the next update, unless it was added to an earlier
        gradient, whose rows are others."""
        made, self._made = self._made, None
        if made is not None and weight.grad is not None and weight.grad.data_ptr() == made[0]:
            self._last = weight.grad, made[1]


def _weak(method: Callable[[Tensor], None]) -> Callable[[Tensor], None]:
    """The method as a hook that does not keep its object: a tensor's hooks are hidden from the
    collector, which could then never free the two."""
    reference = WeakMethod(method)

    def hook(tensor: Tensor) -> None:
        if (found := reference()) is not None:
            found(tensor)

    return hook


class _Lookup(Function):
    @staticmethod
    def forward(ctx: FunctionCtx, weight: Tensor, tokens: Tensor, table: Embedding) -> Tensor:
        ctx.save_for_backward(tokens)
        ctx.table = table  # type: ignore[attr-defined]
        return F.embedding(tokens, weight)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (tokens,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return ctx.table.gradient(tokens, *gradients), None, None  # type: ignore[attr-defined]
