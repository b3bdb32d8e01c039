"""What tasks lose: each example's loss, and how far two predictions are apart."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels.long(), reduction="none")


def binary_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits[:, 0], labels, reduction="none")


def squared_error(scores: Tensor, labels: Tensor) -> Tensor:
    return F.mse_loss(scores[:, 0], labels, reduction="none")


def class_divergence(first: Tensor, second: Tensor) -> Tensor:
    """The symmetric Kullback-Leibler divergence (Jiang et al. 2020, 3.1), KL(p|q) + KL(q|p).

    It is the sum of (p - q) (log p - log q), and the logits stand for the logarithms: they differ
    by one number for all classes, over which p - q sums to zero.
    """
    return ((first.softmax(1) - second.softmax(1)) * (first - second)).sum(1)


def binary_divergence(first: Tensor, second: Tensor) -> Tensor:
    """The symmetric Kullback-Leibler divergence of two classes, the difference of whose logits is
    the one logit."""
    return ((first.sigmoid() - second.sigmoid()) * (first - second))[:, 0]


def squared_difference(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).square()[:, 0]
