"""The embedding table's gradient equals PyTorch's, whatever happened to the last one."""

from __future__ import annotations

from typing import Literal

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from model.layers.embedding import Embedding

ROWS, WIDTH = 11, 4

Between = Literal["nothing", "none", "zeros", "scaled"]
TOKENS = st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=6)


def after(weight: Tensor, between: Between) -> None:
    """What may be done with a gradient between two updates."""
    assert weight.grad is not None
    if between == "none":
        weight.grad = None
    elif between == "zeros":
        weight.grad.zero_()
    elif between == "scaled":
        weight.grad.mul_(0.5)
        weight.grad = None


@given(
    st.lists(
        st.tuples(TOKENS, st.sampled_from(["nothing", "none", "zeros", "scaled"])),
        min_size=1,
        max_size=6,
    )
)
def test_gradient_equals_pytorchs(updates: list[tuple[list[int], Between]]) -> None:
    ours, theirs = Embedding(ROWS, WIDTH), nn.Embedding(ROWS, WIDTH)
    theirs.load_state_dict(ours.state_dict())
    for number, (tokens, between) in enumerate(updates):
        found = []
        for table in (ours, theirs):
            rows = table(torch.tensor(tokens))
            direction = torch.randn(rows.shape, generator=torch.Generator().manual_seed(number))
            (rows * direction).sum().backward()
            found.append((rows, table.weight.grad.clone()))
            after(table.weight, between)
        torch.testing.assert_close(*found)


def test_gradient_has_the_memory_of_the_last_one() -> None:
    table = Embedding(ROWS, WIDTH)
    places = set()
    for tokens in ([1, 2], [3], [1, 4, 4]):
        table(torch.tensor(tokens)).sum().backward()
        assert table.weight.grad is not None
        places.add(table.weight.grad.data_ptr())
        table.weight.grad = None
    assert len(places) == 1


def test_replaced_weights_are_watched_too() -> None:
    table = Embedding(ROWS, WIDTH)
    loaded = {"weight": torch.randn(ROWS, WIDTH)}
    table.load_state_dict(loaded, assign=True)
    assert list(table.state_dict()) == ["weight"]
    for tokens in ([1], [2]):
        table(torch.tensor(tokens)).sum().backward()
        assert table.weight.grad is not None
        assert table.weight.grad.sum(1).nonzero().flatten().tolist() == tokens
        table.weight.grad = None


def test_frozen_table_has_no_gradient() -> None:
    table = Embedding(ROWS, WIDTH).requires_grad_(False)
    assert not table(torch.tensor([1])).requires_grad
