"""How predictions are scored."""

from __future__ import annotations

import math

import numpy as np


def accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    """The share of predictions that equal their label."""
    return float(np.mean(predictions == labels))


def pearson(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Pearson's correlation; NaN where one side is constant and there is none."""
    if is_constant(predictions) or is_constant(labels):
        return math.nan
    x = predictions.astype(np.float64) - predictions.mean(dtype=np.float64)
    y = labels.astype(np.float64) - labels.mean(dtype=np.float64)
    return float(x @ y) / float(np.sqrt(x @ x) * np.sqrt(y @ y))


def is_constant(values: np.ndarray) -> bool:
    """Whether no two of these fp32 numbers differ by more than what rounding makes of one; so
    it is of none, and of one."""
    if len(values) < 2:
        return True
    widest = float(np.abs(values).max())
    return float(np.ptp(values)) <= 4 * float(np.finfo(np.float32).eps) * widest
