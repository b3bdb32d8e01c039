"""Bregman proximal point updates (Jiang et al. 2020, arXiv 1911.03437, 3.2): no large steps.

With f the network, theta its weights and l a task's divergence, each task's loss gains

    weight * mean l(f(x; theta), f(x; reference)),

where after every update reference = momentum * reference + (1 - momentum) * theta (the paper's
momentum Bregman proximal point method; a mean teacher, Tarvainen and Valpola 2017). As in the
paper's experiments (4.1) the momentum is at most 0.99 in the first tenth of the updates.
The reference computes as the network does: with dropout of its own, and normalising by the batch.

An update is one forward more, which needs no backward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.func import functional_call

from model.data.batches import Batch
from model.layers.batch_norm import untracked
from model.network.network import Network
from model.tasks.task import Task
from model.training.smart import divergences
from spaces import Config

_EARLY, _EARLY_MOMENTUM = 0.1, 0.99


class Bregman:
    """The moving average of a network's trained weights, and the distance of outputs from its own.

    `updates` is the number of updates of the whole trial; `reference` holds the average by name.
    """

    def __init__(
        self, config: Config, tasks: Sequence[Task], network: Network, updates: int
    ) -> None:
        self._config, self._tasks, self._network = config, tuple(tasks), network
        self._updates = updates
        self.reference = {
            name: weight.detach().clone()
            for name, weight in network.named_parameters()
            if name not in network.frozen
        }

    def __call__(self, batch: Batch, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What is added to this process's share of the loss of each task of the batch."""
        with torch.no_grad(), untracked(self._network):
            average = functional_call(self._network, self.reference, (batch,))
        found = divergences(self._tasks, batch, outputs, average)
        return {task: self._config.bregman_weight * value for task, value in found.items()}

    def follow(self, update: int) -> None:
        """Move the average towards the weights that the update of that number (from 0) left."""
        momentum = self._config.bregman_momentum
        if update < _EARLY * self._updates:
            momentum = min(momentum, _EARLY_MOMENTUM)
        for name, average in self.reference.items():
            average.lerp_(self._network.get_parameter(name).detach(), 1 - momentum)
