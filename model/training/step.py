"""One update: the losses of all tasks, their gradients, and a step of the optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from accelerate import Accelerator
from torch import Tensor

from model.data.batches import Batch
from model.encoder.pretrained import Pretrained
from model.machine.device import seed_generators
from model.network.network import build_network
from model.tasks.task import Task
from model.training.bregman import Bregman
from model.training.gradients import build_gradients
from model.training.optimizer import build_optimizer, set_learning_rates
from model.training.smart import Smart
from spaces import Config


class Step:
    """`plain` is the network of a configuration, `network` and `optimizer` are as Accelerate
    prepared them. `updates` is the number of updates of the whole trial.

    Raises:
        UserError: if the configuration does not fit the encoder.
    """

    def __init__(
        self,
        config: Config,
        tasks: Sequence[Task],
        encoder: Pretrained,
        accelerator: Accelerator,
        updates: int,
    ) -> None:
        self._config, self._tasks, self._accelerator = config, tuple(tasks), accelerator
        self._updates = updates
        self.plain = build_network(config, tasks, encoder).to(accelerator.device)
        self.optimizer = accelerator.prepare(build_optimizer(config, self.plain))
        self._set_gradients = build_gradients(config, self.plain, accelerator)
        self.network = self._set_gradients.network
        active = config.active()
        smart = active.get("smart") and config.smart_weight > 0
        bregman = config.bregman and config.bregman_weight > 0
        self._smart = Smart(config, tasks, self.plain) if smart else None
        self._bregman = Bregman(config, tasks, self.plain, updates) if bregman else None

    @property
    def reference(self) -> dict[str, Tensor]:
        """The moving average of the weights by name; empty where the configuration keeps none."""
        return self._bregman.reference if self._bregman else {}

    def __call__(self, batch: Batch, update: int) -> Tensor:
        """Do the update of that number in the trial, from 0.

        This process's share of each task's mean loss, fp32 (tasks,), detached; 0 for a task that
        the update does not train. Everything random comes from the seed, the update's number and
        the process.
        """
        config, accelerator = self._config, self._accelerator
        seed_generators(_seed(config.seed, update, accelerator.process_index), accelerator.device)
        set_learning_rates(self.optimizer, config, update, self._updates)
        outputs = self.network(batch)
        losses = {
            task.name: task.loss(outputs[task.name], part.labels).sum() / part.total
            for task in self._tasks
            if task.name in batch.tasks
            for part in (batch.tasks[task.name],)
        }
        regularised = self._regularised(losses, batch, outputs)
        self._set_gradients(self.plain.weighting(regularised, accelerator.num_processes), update)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self._bregman:
            self._bregman.follow(update)
        untrained = torch.zeros((), device=accelerator.device)
        return torch.stack([losses.get(t.name, untrained).detach() for t in self._tasks])

    def _regularised(
        self, losses: dict[str, Tensor], batch: Batch, outputs: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        for regularise in (self._smart, self._bregman):
            if regularise:
                added = regularise(batch, outputs)
                losses = {task: loss + added[task] for task, loss in losses.items()}
        return losses


def _seed(seed: int, update: int, process: int) -> int:
    """The seed of an update in a process. It differs for every two of them, so that no generator's
    state need be stored."""
    return (seed * 1_000_003 + update) * 1_009 + process
