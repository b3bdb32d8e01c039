"""How the tasks' losses become one."""

from __future__ import annotations

from collections.abc import Sequence

from model.tasks.task import Task
from spaces import Config

_REPORT = {"sst": 0.5, "para": 0.25, "sts": 0.25}


def loss_weights(config: Config, tasks: Sequence[Task]) -> dict[str, float]:
    """Each task's weight; together 1. Equal weights are the centre of the simplex."""
    match config.loss_weighting:
        case "equal":
            return {task.name: 1 / len(tasks) for task in tasks}
        case "report":
            return {task.name: _REPORT[task.name] for task in tasks}
        case "tuned":
            return {t.name: w for t, w in zip(tasks, config.loss_weights, strict=True)}
    raise ValueError(f"unknown loss weighting {config.loss_weighting!r}")
