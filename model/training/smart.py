"""SMART (Jiang et al. 2020, arXiv 1911.03437): outputs that hardly change under small noise.

Section 3.1 and algorithm 1. With f the network, x a batch's word embeddings and l a task's
divergence, each task's loss gains

    weight * mean l(f(x), f(x + noise)),

where the noise is within a radius in the maximum norm and makes the divergence large: it starts as
N(0, noise^2) and climbs along the divergence's gradient. As in the authors' code (namisan/mt-dnn)
each token's gradient is first divided by its largest number, and dropout stays on and is drawn anew
in every forward. The noise is added where that code puts its noisy embeddings, in the place of the
word embeddings; but it takes them from behind the normalisation, so that positions are added twice,
and here they are the word embeddings themselves.

Under bf16 autocast a radius below about 1e-4 drowns in rounding: what is left is the divergence
of two dropouts.

With k steps an update is k + 2 forwards, 2 whole backwards and k backwards to the noise alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.func import functional_call

from model.data.batches import Batch
from model.layers.batch_norm import untracked
from model.layers.packing import Packed
from model.network.network import Network
from model.tasks.task import Task
from spaces import Config


class Smart:
    """The regularisation of a network, in its training mode."""

    def __init__(self, config: Config, tasks: Sequence[Task], network: Network) -> None:
        self._config, self._tasks, self._network = config, tuple(tasks), network

    def __call__(self, batch: Batch, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What is added to this process's share of the loss of each task of the batch.

        `outputs` are the network's without noise. The noise comes from torch's generator.
        """
        with untracked(self._network):
            noise = self._noise(batch, outputs)
            noisy: dict[str, Tensor] = self._network(batch, noise)
        found = divergences(self._tasks, batch, outputs, noisy)
        return {task: self._config.smart_weight * value for task, value in found.items()}

    def _noise(self, batch: Batch, outputs: Mapping[str, Tensor]) -> Tensor:
        """The noise that is added to the word embeddings, fp32 (tokens, hidden)."""
        assert isinstance(batch.sentences, Packed)
        config, network = self._config, self._network
        clean = {name: output.detach() for name, output in outputs.items()}
        fixed = {name: weight.detach() for name, weight in network.named_parameters()}
        tokens, width = len(batch.sentences.tokens), network.encoder.word.embedding_dim
        noise = torch.randn(tokens, width, device=batch.sentences.tokens.device)
        noise *= config.smart_noise
        for _ in range(config.smart_steps):
            noise.requires_grad_()
            noisy = functional_call(network, fixed, (batch, noise))
            changes = divergences(self._tasks, batch, clean, noisy)
            (gradient,) = torch.autograd.grad(torch.stack([*changes.values()]).sum(), noise)
            noise = ascend(noise.detach(), gradient, config.smart_step_size, config.smart_radius)
        return noise


def ascend(noise: Tensor, gradient: Tensor, step_size: float, radius: float) -> Tensor:
    """The noise after a step along its gradient, back inside the radius; all (tokens, hidden).

    A token's gradient is divided by its largest number, so that the step is `step_size` in the
    maximum norm, or nothing where the gradient is zero.
    """
    largest = gradient.abs().amax(1, keepdim=True).clamp_min(torch.finfo(gradient.dtype).tiny)
    return (noise + step_size * gradient / largest).clamp(-radius, radius)


def divergences(
    tasks: Sequence[Task],
    batch: Batch,
    first: Mapping[str, Tensor],
    second: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """This process's share of the mean divergence of the outputs, by task of the batch."""
    return {
        task.name: task.divergence(first[task.name], second[task.name]).sum() / part.total
        for task in tasks
        if task.name in batch.tasks
        for part in (batch.tasks[task.name],)
    }
