"""How much each task's loss counts in an update: fixed, learned, or by its own course."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from model.tasks.task import Task
from spaces import Config

_REPORT = {"sst": 0.5, "para": 0.25, "sts": 0.25}


_TEMPERATURE = 2.0


class Weighting(nn.Module):
    """The weights of the tasks' losses. It belongs to the network: what it learns or remembers is
    trained and stored with it."""

    def forward(self, losses: Mapping[str, Tensor], processes: int) -> list[Tensor]:
        """The terms whose sum, over the update's tasks and all processes, is its loss.

        `losses` are this process's shares of the mean losses of the tasks that the update trains.
        """
        raise NotImplementedError

    def end_epoch(self, losses: Mapping[str, float]) -> None:
        """Take note of the mean training losses, without weights, of the tasks that an epoch
        trained."""


class FixedWeighting(Weighting):
    """Weights that stay the same from the beginning of a trial to its end."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.weights = dict(weights)

    def forward(self, losses: Mapping[str, Tensor], processes: int) -> list[Tensor]:
        return [loss * self.weights[task] for task, loss in losses.items()]


class UncertaintyWeighting(Weighting):
    """Each task's uncertainty, learned with the network (Kendall et al. 2018, equations 5 to 10).

    With s = log(sigma^2) the term of a task is exp(-s) * loss + s / 2, and exp(-s) * loss / 2 +
    s / 2 where the loss is a squared error. All s are 0 at first: the network's gradients are then
    those of the sum of the losses, squared errors halved.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.factors = {task.name: 1.0 if task.scale is None else 0.5 for task in tasks}
        self.log_variances = nn.ParameterDict(
            {task.name: nn.Parameter(torch.zeros(())) for task in tasks}
        )

    def forward(self, losses: Mapping[str, Tensor], processes: int) -> list[Tensor]:
        terms = []
        for task, loss in losses.items():
            s = self.log_variances[task]
            terms.append(loss * self.factors[task] * torch.exp(-s) + s / (2 * processes))
        return terms


class DynamicWeighting(Weighting):
    """Dynamic weight average (Liu et al. 2019, equation 7), scaled so that the weights sum to 1.

    The weights of an epoch are softmax(r / 2), where r is each task's mean training loss in the
    epoch before, over that in the one before it; r is 1 in the first two epochs, and where an epoch
    did not train the task.
    """

    last: Tensor
    before: Tensor

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.tasks = tuple(task.name for task in tasks)
        self.register_buffer("last", torch.zeros(len(tasks)))  # 0 where there is none
        self.register_buffer("before", torch.zeros(len(tasks)))

    @property
    def weights(self) -> Tensor:
        """The weight of each task in the current epoch, fp32 (tasks,)."""
        known = (self.last > 0) & (self.before > 0)
        ratios = torch.where(known, self.last / self.before, 1.0)
        return torch.softmax(ratios / _TEMPERATURE, dim=0)

    def forward(self, losses: Mapping[str, Tensor], processes: int) -> list[Tensor]:
        weights = dict(zip(self.tasks, self.weights.unbind(), strict=True))
        return [loss * weights[task] for task, loss in losses.items()]

    def end_epoch(self, losses: Mapping[str, float]) -> None:
        self.before.copy_(self.last)
        self.last.copy_(torch.tensor([losses.get(task, 0.0) for task in self.tasks]))


def build_weighting(config: Config, tasks: Sequence[Task]) -> Weighting:
    """The weighting of a configuration."""
    match config.loss_weighting:
        case "uncertainty":
            return UncertaintyWeighting(tasks)
        case "dynamic":
            return DynamicWeighting(tasks)
    return FixedWeighting(loss_weights(config, tasks))


def loss_weights(config: Config, tasks: Sequence[Task]) -> dict[str, float]:
    """Each task's weight; together they are 1. Equal weights are the centre of the simplex."""
    match config.loss_weighting:
        case "equal":
            return {task.name: 1 / len(tasks) for task in tasks}
        case "report":
            return {task.name: _REPORT[task.name] for task in tasks}
        case "tuned":
            return {t.name: w for t, w in zip(tasks, config.loss_weights, strict=True)}
    raise ValueError(f"unknown loss weighting {config.loss_weighting!r}")
