"""Tasks: a labelled problem on a sentence or a pair, with its loss and its metric.

The network gives logits of classes, the logit of "paraphrase", and a similarity on the labels'
own scale; a task says what is made of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
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
