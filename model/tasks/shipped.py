"""The report's three tasks."""

from __future__ import annotations

from model.tasks.losses import (
    binary_cross_entropy,
    binary_divergence,
    class_divergence,
    cross_entropy,
    squared_difference,
    squared_error,
)
from model.tasks.metrics import accuracy, pearson
from model.tasks.task import Task

SST = Task("sst", 1, 5, cross_entropy, class_divergence, lambda logits: logits.argmax(1), accuracy)

PARA = Task(
    "para",
    2,
    1,
    binary_cross_entropy,
    binary_divergence,
    lambda logits: logits[:, 0] > 0,
    accuracy,
)

STS = Task(
    "sts",
    2,
    1,
    squared_error,
    squared_difference,
    lambda scores: scores[:, 0],
    pearson,
    scale=5.0,
)

ALL_TASKS: tuple[Task, ...] = (SST, PARA, STS)
