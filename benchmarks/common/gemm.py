"""How fast this machine multiplies the matrices of an encoder: the floor of a training step."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from model.encoder.bert import EncoderShape


def gemm_rate(shape: EncoderShape, tokens: int, dtype: torch.dtype, repeats: int) -> float:
    """FLOP per CPU-second of a layer's matrix products, forward and backward together.

    The products of a linear map are its output, its input's gradient and its weight's gradient;
    each takes its median time over `repeats`.
    """
    hidden, inner = shape.hidden, shape.intermediate
    maps = [(hidden, 3 * hidden), (hidden, hidden), (hidden, inner), (inner, hidden)]
    flops = seconds = 0.0
    for inputs, outputs in maps:
        states = torch.randn(tokens, inputs).to(dtype)
        weight = torch.randn(outputs, inputs).to(dtype)
        bias = torch.randn(outputs).to(dtype)
        gradient = torch.randn(tokens, outputs).to(dtype)
        seconds += _median(lambda s=states, w=weight, b=bias: F.linear(s, w, b), repeats)
        seconds += _median(lambda g=gradient, w=weight: g @ w, repeats)
        seconds += _median(lambda g=gradient, s=states: g.T @ s, repeats)
        flops += 3 * 2 * tokens * inputs * outputs
    return flops / seconds


def _median(product: Callable[[], torch.Tensor], repeats: int) -> float:
    product()
    times = []
    for _ in range(repeats):
        started = time.process_time()
        product()
        times.append(time.process_time() - started)
    return statistics.median(times)
