"""Fused linear maps equal plain ones; they are used without gradients only."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from model.layers.linear import ROWS, Linear


@pytest.fixture
def linear() -> Linear:
    torch.manual_seed(0)
    return Linear(32, 48)


@pytest.mark.parametrize("rows", [ROWS, 2 * ROWS, ROWS + 1, 3])
def test_without_gradients_bf16_is_as_close_to_fp32_as_before(linear: Linear, rows: int) -> None:
    values = torch.randn(rows, 32)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = linear(values.bfloat16()), linear.gelu(values.bfloat16())
    product = F.linear(values.bfloat16().float(), linear.weight, linear.bias)
    for result, expected in zip(found, (product, F.gelu(product)), strict=True):
        assert result.dtype == torch.bfloat16
        torch.testing.assert_close(result.float(), expected, atol=0.02, rtol=0.02)


@pytest.mark.parametrize("half", [False, True])
def test_gradients_flow(linear: Linear, half: bool) -> None:
    values = torch.randn(ROWS, 32).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        result: Tensor = linear.gelu(values)
    gradients = torch.autograd.grad(result.float().sum(), (values, linear.weight, linear.bias))
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_fp32_is_pytorchs(linear: Linear) -> None:
    values = torch.randn(ROWS, 32)
    with torch.no_grad():
        assert torch.equal(linear(values), F.linear(values, linear.weight, linear.bias))
