"""Attention within the groups of a packed batch, forward and backward by hand.

Left to autograd, the many small products of a step come with as many copies, and the softmax of
bf16 scores is several times slower than that of fp32 ones.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

from model.layers.dropout import Dropout
from model.layers.packing import Group, Grouped

_VECTOR = 16  # fp32 numbers; below, PyTorch's softmax on a CPU takes ten times as long


def attend(qkv: Tensor, layout: Grouped, heads: int, dropout: Dropout) -> Tensor:
    """Every token mixed from those of its sentence (arXiv 1706.03762), `dropout` on the weights.

    `qkv` is (tokens, 3 * hidden), query, key and value side by side; the result is (tokens,
    hidden) of its dtype. Scores and softmax are fp32.
    """
    mixed: Tensor = _Attend.apply(qkv, layout, heads, dropout)  # type: ignore[no-untyped-call]
    return mixed


class _Attend(Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, qkv: Tensor, layout: Grouped, heads: int, dropout: Dropout
    ) -> Tensor:
        padded = qkv.index_select(0, layout.source)  # (grouped tokens, 3 * hidden)
        mixed = qkv.new_empty(len(padded), qkv.shape[1] // 3)  # (grouped tokens, hidden)
        saved: list[Tensor | None] = []
        pieces = zip(layout.groups, layout.masks, *_split(layout, padded, mixed), strict=True)
        for group, mask, piece, result in pieces:
            query, key, value = parts = _heads_first(piece, group, 3, heads)
            scores = (query @ key.mT).float().mul_(query.shape[-1] ** -0.5)
            scores.view(group.count, heads, group.longest, group.longest).add_(mask)
            weights = _softmax(scores)  # (count * heads, longest, longest)
            dropped = weights.to(qkv.dtype)
            keep = dropout.mask(dropped)
            dropped = dropped if keep is None else dropped * keep
            _put(result, group, (dropped @ value,))
            saved += parts, weights, dropped, keep
        ctx.save_for_backward(*saved)  # type: ignore[arg-type]  # None is allowed
        ctx.layout, ctx.heads = layout, heads  # type: ignore[attr-defined]
        return mixed.index_select(0, layout.destination)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        layout, heads = ctx.layout, ctx.heads  # type: ignore[attr-defined]
        saved = iter(ctx.saved_tensors)  # type: ignore[attr-defined]
        (gradient,) = gradients  # (tokens, hidden)
        padded = gradient.new_zeros(len(layout.source), gradient.shape[1])
        padded.index_copy_(0, layout.destination, gradient)
        to_qkv = gradient.new_empty(len(padded), 3 * gradient.shape[1])
        pieces = zip(layout.groups, *_split(layout, padded, to_qkv), strict=True)
        for group, piece, result in pieces:
            parts, weights, dropped, keep = (next(saved) for _ in range(4))
            query, key, value = parts
            (to_mixed,) = _heads_first(piece, group, 1, heads)
            to_weights = to_mixed @ value.mT  # (count * heads, longest, longest)
            if keep is not None:
                to_weights.mul_(keep)
            to_weights = to_weights.float()
            to_weights.sub_((to_weights * weights).sum(-1, keepdim=True))
            to_scores = to_weights.mul_(weights).mul_(query.shape[-1] ** -0.5).to(query.dtype)
            _put(result, group, (to_scores @ key, to_scores.mT @ query, dropped.mT @ to_mixed))
        return to_qkv.index_select(0, layout.destination), None, None, None


def _split(layout: Grouped, *values: Tensor) -> list[tuple[Tensor, ...]]:
    sizes = [group.tokens for group in layout.groups]
    return [torch.split_with_sizes(value, sizes) for value in values]


def _heads_first(piece: Tensor, group: Group, parts: int, heads: int) -> Tensor:
    """(group's tokens, parts * hidden) -> (parts, count * heads, longest, width), contiguous."""
    by_head = piece.view(group.count, group.longest, parts, heads, -1).permute(2, 0, 3, 1, 4)
    return by_head.reshape(parts, group.count * heads, group.longest, -1)


def _put(place: Tensor, group: Group, parts: tuple[Tensor, ...]) -> None:
    """The inverse of `_heads_first`: write each part, (count * heads, longest, width)."""
    by_token = place.view(group.count, group.longest, len(parts), -1, parts[0].shape[-1])
    for number, part in enumerate(parts):
        by_head = part.view(group.count, -1, group.longest, part.shape[-1])
        by_token[:, :, number].copy_(by_head.transpose(1, 2))


def _softmax(scores: Tensor) -> Tensor:
    if scores.shape[-1] >= _VECTOR:
        return scores.softmax(-1)
    weights = (scores - scores.amax(-1, keepdim=True)).exp_()
    return weights.div_(weights.sum(-1, keepdim=True))
