"""Attention by hand equals plain autograd's, in value and in gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model.layers.attention import attend
from model.layers.dropout import Dropout
from model.layers.packing import Grouped, pack

HEADS, HIDDEN = 3, 12


def layout_of(lengths: list[int]) -> Grouped:
    return pack([np.ones(length, dtype=np.int64) for length in lengths]).grouped


def random(rows: int, columns: int, seed: int) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def by_autograd(qkv: Tensor, layout: Grouped, dropout: Dropout) -> Tensor:
    """The definition, group by group; the dropout draws what `attend`'s does."""
    mixed = []
    pieces = qkv[layout.source].split([group.tokens for group in layout.groups])
    for piece, group, mask in zip(pieces, layout.groups, layout.masks, strict=True):
        by_head = piece.view(group.count, group.longest, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        query, key, value = by_head  # (count, heads, longest, width)
        scores = query @ key.mT / query.shape[-1] ** 0.5
        weights = (scores + mask).softmax(-1)
        keep = dropout.mask(weights)
        weights = weights if keep is None else weights * keep
        mixed.append((weights @ value).transpose(1, 2).reshape(group.tokens, -1))
    return torch.cat(mixed)[layout.destination]


@pytest.mark.parametrize("probability", [0.0, 0.4])
@given(lengths=st.lists(st.integers(1, 24), min_size=1, max_size=8))
def test_attention_equals_its_definition(lengths: list[int], probability: float) -> None:
    layout = layout_of(lengths)
    tokens = len(layout.destination)
    direction = random(tokens, HIDDEN, 1)
    found = []
    for attention in (
        lambda qkv, dropout: attend(qkv, layout, HEADS, dropout),
        lambda qkv, dropout: by_autograd(qkv, layout, dropout),
    ):
        qkv = random(tokens, 3 * HIDDEN, 0).requires_grad_()
        torch.manual_seed(2)
        mixed = attention(qkv, Dropout(probability).train())
        (gradient,) = torch.autograd.grad((mixed * direction).sum(), qkv)
        found.append((mixed, gradient))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


def test_bf16_attention_is_close_to_fp32() -> None:
    layout = layout_of([3, 9, 20, 17])
    tokens = len(layout.destination)
    full = random(tokens, 3 * HIDDEN, 0).requires_grad_()
    half = full.detach().bfloat16().requires_grad_()
    for qkv in (full, half):
        mixed = attend(qkv, layout, HEADS, Dropout(0.1).eval())
        assert mixed.dtype == qkv.dtype
        mixed.float().square().sum().backward()
    assert full.grad is not None
    assert half.grad is not None
    similarity = torch.cosine_similarity(full.grad.flatten(), half.grad.float().flatten(), dim=0)
    assert similarity > 0.999
