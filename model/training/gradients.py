"""Makes, from the terms of an update's loss, the gradients that the optimizer takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from model.training.pcgrad import project
from spaces import Config


class Gradients(Protocol):
    """How gradients are made. `network` is the network as its forward pass is to be called."""

    network: nn.Module

    def __call__(self, terms: Sequence[Tensor], update: int) -> None:
        """Set the gradients of the sum of the terms over all processes, or what is put in their
        place; `update` is the update's number in the trial."""


def build_gradients(config: Config, network: nn.Module, accelerator: Accelerator) -> Gradients:
    """How a configuration's gradients are made.

    DistributedDataParallel wants one gradient of every parameter in every update. What has other
    wishes sums over processes by itself.
    """
    active = config.active()
    if active.get("gradient_surgery") == "pcgrad":
        return PCGrad(network, accelerator, config.seed)
    varying = active.get("unfreezing") == "gradual" or config.sampling != "balanced"
    if varying and accelerator.num_processes > 1:
        return Summed(network, accelerator)
    return Plain(network, accelerator)


class Plain:
    """Makes gradients as Accelerate does: over several processes, DistributedDataParallel averages
    them."""

    def __init__(self, network: nn.Module, accelerator: Accelerator) -> None:
        self.network, self._accelerator = accelerator.prepare(network), accelerator

    def __call__(self, terms: Sequence[Tensor], update: int) -> None:
        # Processes' gradients are averaged, but their shares of the loss add up.
        self._accelerator.backward(_sum(terms) * self._accelerator.num_processes)


class Summed:
    """Makes the gradients of the parameters that are trained in this update, and sums them over
    processes itself."""

    def __init__(self, network: nn.Module, accelerator: Accelerator) -> None:
        self.network = _prepare_alone(network, accelerator)
        self._accelerator = accelerator

    def __call__(self, terms: Sequence[Tensor], update: int) -> None:
        self._accelerator.backward(_sum(terms))
        own = [p.grad for p in self.network.parameters() if p.grad is not None]
        for gradient, total in zip(own, _over_processes(own, self._accelerator), strict=True):
            gradient.copy_(total)


class PCGrad:
    """Projecting conflicting gradients (Yu et al. 2020, algorithm 1), one backward pass a task.

    What more than one task trains, the encoder and a head that tasks share, gets the sum of the
    projected gradients, everything else that of its one task. The order in which a task meets the
    others is drawn from the seed and the update's number.
    """

    def __init__(self, network: nn.Module, accelerator: Accelerator, seed: int) -> None:
        self.network = _prepare_alone(network, accelerator)
        self._accelerator, self._seed = accelerator, seed

    def __call__(self, terms: Sequence[Tensor], update: int) -> None:
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        by_task = [
            self._gradients(term, parameters, more=number + 1 < len(terms))
            for number, term in enumerate(terms)
        ]
        columns = list(zip(*by_task, strict=True))  # for each parameter, its gradient in each task
        coefficients = project(_products(columns), (self._seed, update))
        for parameter, gradients in zip(parameters, columns, strict=True):
            found = [(g, c) for g, c in zip(gradients, coefficients, strict=True) if g is not None]
            if len(found) > 1:
                parameter.grad = _sum([gradient * c for gradient, c in found])
            elif found:
                parameter.grad = found[0][0]

    def _gradients(
        self, term: Tensor, parameters: Sequence[nn.Parameter], more: bool
    ) -> list[Tensor | None]:
        """One task's gradients, summed over all processes; None for each parameter that it does not
        train."""
        own = torch.autograd.grad(term, parameters, retain_graph=more, allow_unused=True)
        totals = iter(_over_processes([g for g in own if g is not None], self._accelerator))
        return [None if gradient is None else next(totals) for gradient in own]


def _prepare_alone(network: nn.Module, accelerator: Accelerator) -> nn.Module:
    """Prepare a network with Accelerate's autocast, but without DistributedDataParallel."""
    prepared: nn.Module = accelerator.prepare_model(network, evaluation_mode=True)
    return prepared


def _over_processes(gradients: Sequence[Tensor], accelerator: Accelerator) -> Sequence[Tensor]:
    """Each gradient's sum over all processes."""
    if accelerator.num_processes == 1 or not gradients:
        return gradients
    flat = accelerator.reduce(torch.cat([gradient.flatten() for gradient in gradients]))
    parts = flat.split([gradient.numel() for gradient in gradients])
    return [part.view_as(gradient) for part, gradient in zip(parts, gradients, strict=True)]


def _products(columns: Sequence[Sequence[Tensor | None]]) -> list[list[float]]:
    """The scalar products of every two tasks' gradients, (tasks, tasks), over the parameters that
    more than one task trains; None counts as zero."""
    totals: dict[tuple[int, int], Tensor] = {}
    for gradients in columns:
        if sum(gradient is not None for gradient in gradients) < 2:
            continue
        for i, first in enumerate(gradients):
            for j, second in enumerate(gradients[: i + 1]):
                if first is not None and second is not None:
                    product = torch.dot(first.flatten(), second.flatten())
                    totals[i, j] = totals[i, j] + product if (i, j) in totals else product
    tasks = range(len(columns[0]))
    values = {place: float(total) for place, total in totals.items()}
    return [[values.get((max(i, j), min(i, j)), 0.0) for j in tasks] for i in tasks]


def _sum(values: Sequence[Tensor]) -> Tensor:
    total, *rest = values
    for value in rest:
        total = total + value
    return total
