"""Tasks: a labelled problem on a sentence or a pair, with its loss and its metric.

The network gives logits of classes, the logit of "paraphrase", and a similarity on the labels'
own scale; a task says what is made of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Task:
    """`sentences` is 1 or 2. `scale` is the top of a score's range, None where outputs are logits.

    `loss` takes outputs and labels (both fp32 on one device) and returns one loss an example;
    `divergence` says how far two outputs are apart, one number an example; `predict` turns outputs
    into predictions; `metric` compares predictions with labels.
    """

    name: str
    sentences: int
    outputs: int
    loss: Callable[[Tensor, Tensor], Tensor]
    divergence: Callable[[Tensor, Tensor], Tensor]
    predict: Callable[[Tensor], Tensor]
    metric: Callable[[np.ndarray, np.ndarray], float]
    scale: float | None = None


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


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels.long(), reduction="none")


def _binary_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits[:, 0], labels, reduction="none")


def _squared_error(scores: Tensor, labels: Tensor) -> Tensor:
    return F.mse_loss(scores[:, 0], labels, reduction="none")


def _class_divergence(first: Tensor, second: Tensor) -> Tensor:
    """The symmetric Kullback-Leibler divergence (Jiang et al. 2020, 3.1), KL(p|q) + KL(q|p).

    It is the sum of (p - q) (log p - log q), and the logits stand for the logarithms: they differ
    by one number for all classes, over which p - q sums to zero.
    """
    return ((first.softmax(1) - second.softmax(1)) * (first - second)).sum(1)


def _binary_divergence(first: Tensor, second: Tensor) -> Tensor:
    """The same for two classes, of which the logit is the difference."""
    return ((first.sigmoid() - second.sigmoid()) * (first - second))[:, 0]


def _squared_difference(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).square()[:, 0]


SST = Task(
    "sst", 1, 5, _cross_entropy, _class_divergence, lambda logits: logits.argmax(1), accuracy
)
PARA = Task(
    "para",
    2,
    1,
    _binary_cross_entropy,
    _binary_divergence,
    lambda logits: logits[:, 0] > 0,
    accuracy,
)
STS = Task(
    "sts",
    2,
    1,
    _squared_error,
    _squared_difference,
    lambda scores: scores[:, 0],
    pearson,
    scale=5.0,
)

ALL_TASKS: tuple[Task, ...] = (SST, PARA, STS)


def constant_loss(task: Task, labels: np.ndarray) -> float:
    """The mean loss of the prediction that knows nothing, the yardstick of divergence.

    Equal probabilities of all classes, or the middle of the scale, which a fresh head is near to;
    it is never less than for labels that are spread evenly over the scale, since with labels that
    all lie near its middle the smallest error would count as divergence.
    """
    if task.scale is not None:
        even = task.scale**2 / 12  # the variance of a uniform distribution
        return max(float(np.mean(np.square(labels - task.scale / 2))), even)
    return math.log(max(task.outputs, 2))  # One logit decides between two classes.
