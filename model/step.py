"""One update: the losses of all tasks, their gradients, and a step of the optimizer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate import Accelerator
from torch import Tensor

from model.batches import Batch, check_processes, updates_per_epoch
from model.device import seed_generators
from model.losses import loss_weights
from model.network import build_network
from model.optimizer import build_optimizer, set_learning_rates
from model.pretrained import Pretrained
from model.tasks import Task
from spaces import Config


class Step:
    """`plain` is the network of a configuration, `network` and `optimizer` are as Accelerate
    prepared them.

    Raises:
        UserError: if the configuration does not fit the encoder, or the number of processes.
    """

    def __init__(
        self,
        config: Config,
        tasks: Sequence[Task],
        encoder: Pretrained,
        accelerator: Accelerator,
    ) -> None:
        check_processes(config, accelerator.num_processes)
        self._config, self._tasks, self._accelerator = config, tuple(tasks), accelerator
        self.plain = build_network(config, tasks, encoder).to(accelerator.device)
        optimizer = build_optimizer(config, self.plain)
        self.network, self.optimizer = accelerator.prepare(self.plain, optimizer)
        weights = loss_weights(config, tasks)
        self._weights = torch.tensor([weights[task.name] for task in tasks]).to(accelerator.device)

    def __call__(self, batch: Batch, update: int) -> Tensor:
        """Do the update of that number in the trial, from 0.

        This process's share of each task's mean loss, fp32 (tasks,), detached. Everything random
        comes from the seed, the update's number and the process.
        """
        config, accelerator = self._config, self._accelerator
        seed_generators(_seed(config.seed, update, accelerator.process_index), accelerator.device)
        set_learning_rates(
            self.optimizer, config, update, updates_per_epoch(config) * config.epochs
        )
        outputs = self.network(batch)
        losses = torch.stack(
            [
                task.loss(outputs[task.name], part.labels).sum() / part.total
                for task in self._tasks
                for part in (batch.tasks[task.name],)
            ]
        )  # (tasks,)
        # Processes' gradients are averaged, but their shares of the losses add up.
        accelerator.backward((losses * self._weights).sum() * accelerator.num_processes)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return losses.detach()


def _seed(seed: int, update: int, process: int) -> int:
    """Different for every update and process, so that nothing about a generator need be stored."""
    return (seed * 1_000_003 + update) * 1_009 + process
