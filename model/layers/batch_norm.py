"""Batch normalisation over the whole batch, however many processes share it.

torch's SyncBatchNorm works on GPUs only; this one works wherever torch.distributed does, so that
N processes compute what one does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import FunctionCtx


class BatchNorm(nn.BatchNorm1d):
    """`nn.BatchNorm1d` on (examples, features), with statistics over all processes."""

    def forward(self, input: Tensor) -> Tensor:
        alone = not dist.is_initialized() or dist.get_world_size() == 1
        if not self.training or (alone and len(input) > 1):
            return super().forward(input)
        count = input.new_tensor([len(input)])
        mean = input.sum(0)
        if not alone:
            dist.all_reduce(count)
            mean = _sum(mean)
        mean = mean / count
        squares = (input - mean).square().sum(0)
        if not alone:
            squares = _sum(squares)
        variance = squares / count
        if self.track_running_stats:
            self._track(mean.detach(), variance.detach(), count)
        normalised = (input - mean) * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias, normalised, self.weight)

    def _track(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Running statistics as torch keeps them, with the unbiased variance."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        unbiased = variance * count / (count - 1).clamp(min=1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(unbiased, self.momentum)
        self.num_batches_tracked.add_(1)


@contextmanager
def untracked(network: nn.Module) -> Iterator[None]:
    """Leave running statistics as they are inside the block, where what passes has passed before or
    is no data."""
    norms = [module for module in network.modules() if isinstance(module, BatchNorm)]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


class _Sum(Function):
    """The sum over all processes; each one's gradient is the sum of all gradients."""

    @staticmethod
    def forward(ctx: FunctionCtx, input: Tensor) -> Tensor:
        total = input.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradients[0])


def _sum(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return total
