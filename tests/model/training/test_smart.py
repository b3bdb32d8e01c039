"""SMART: the noise climbs the divergence inside its ball, and the outputs answer for it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from model.data.batches import Batch, epoch_batches
from model.data.corpus import Corpus
from model.encoder.pretrained import Pretrained
from model.layers.batch_norm import BatchNorm
from model.layers.packing import Packed
from model.network.network import Network, build_network
from model.tasks.shipped import ALL_TASKS, PARA, SST, STS
from model.training.smart import Smart, ascend
from model.training.step import Step
from spaces import Config

Fit = Any  # conftest's


@pytest.fixture
def still(tiny: Config) -> Config:
    """Without dropout every forward gives the same; with a radius that rounding leaves alone."""
    return tiny.replace(
        smart=True, dropout=0.0, head_dropout=0.0, smart_radius=1e-2, smart_noise=1e-3
    )


@pytest.fixture
def network(still: Config, pretrained: Pretrained) -> Network:
    return build_network(still, ALL_TASKS, pretrained).train()


@pytest.fixture
def batch(still: Config, corpus: Corpus) -> Batch:
    return next(epoch_batches(still, ALL_TASKS, corpus, 1, torch.device("cpu")))


def test_symmetric_divergence_is_that_of_the_two_distributions() -> None:
    """p = (3/4, 1/4) and q = (1/4, 3/4): KL is log(3) / 2 either way."""
    logit = math.log(3)
    p, q = torch.tensor([[logit]]), torch.tensor([[-logit]])
    assert PARA.divergence(p, q).item() == pytest.approx(math.log(3))
    p, q = torch.randn(4, 5), torch.randn(4, 5)
    log_p, log_q = p.log_softmax(1), q.log_softmax(1)
    both = log_p.exp() * (log_p - log_q) + log_q.exp() * (log_q - log_p)
    assert torch.allclose(SST.divergence(p, q), both.sum(1), atol=1e-6)
    scores = torch.tensor([[1.0], [4.5]]), torch.tensor([[3.0], [4.0]])
    assert STS.divergence(*scores).tolist() == [4.0, 0.25]


@pytest.mark.parametrize("task", ALL_TASKS, ids=lambda task: task.name)
def test_divergence_of_equal_outputs_is_zero_and_else_positive_and_symmetric(task: Any) -> None:
    first, second = torch.randn(7, task.outputs), torch.randn(7, task.outputs)
    assert task.divergence(first, first).tolist() == [0.0] * 7
    assert (task.divergence(first, second) > 0).all()
    assert torch.equal(task.divergence(first, second), task.divergence(second, first))


def test_a_step_goes_along_the_gradient_and_stays_inside_the_ball() -> None:
    """The first token moves by 0.5 (1, -1/2) and is cut at 0.3, the second has nowhere to go."""
    noise = torch.tensor([[0.1, 0.1], [0.2, -0.2]])
    gradient = torch.tensor([[4.0, -2.0], [0.0, 0.0]])
    moved = ascend(noise, gradient, step_size=0.5, radius=0.3)
    assert torch.allclose(moved, torch.tensor([[0.3, -0.15], [0.2, -0.2]]))


def test_noise_is_added_to_the_word_embeddings(network: Network, batch: Batch) -> None:
    """One noise for all tokens does what the same shift of the whole table does."""
    assert isinstance(batch.sentences, Packed)
    shift = torch.randn(32) / 10
    plain = network(batch)
    noisy = network(batch, shift.expand(len(batch.sentences.tokens), -1))
    with torch.no_grad():
        network.encoder.embeddings.word.weight += shift
    moved = network(batch)
    for name, output in noisy.items():
        assert torch.allclose(output, moved[name], atol=1e-5)
        assert not torch.allclose(output, plain[name], atol=1e-3)


def changes(network: Network, batch: Batch, noise: Tensor) -> float:
    """The sum of the tasks' mean divergences under a noise."""
    with torch.no_grad():
        outputs, noisy = network(batch), network(batch, noise)
    return sum(float(t.divergence(outputs[t.name], noisy[t.name]).mean()) for t in ALL_TASKS)


def test_more_steps_find_a_worse_noise_in_the_same_ball(
    still: Config, network: Network, batch: Batch
) -> None:
    assert isinstance(batch.sentences, Packed)
    tokens = len(batch.sentences.tokens)
    config = still.replace(smart_step_size=5e-3)
    outputs = network(batch)
    found = []
    for steps in (1, 3):
        torch.manual_seed(0)
        smart = Smart(config.replace(smart_steps=steps), ALL_TASKS, network)
        noise = smart._noise(batch, outputs)
        assert noise.shape == (tokens, 32)
        assert noise.abs().max() <= 1e-2
        found.append(changes(network, batch, noise))
    random = changes(network, batch, 1e-2 * (2 * torch.rand(tokens, 32) - 1).sign())
    assert random < found[0] < found[1]


def test_what_is_added_is_the_weighted_divergence_at_the_noise_with_gradients_of_both_sides(
    still: Config, network: Network, batch: Batch
) -> None:
    smart = Smart(still.replace(smart_weight=2.5), ALL_TASKS, network)
    outputs = network(batch)
    torch.manual_seed(0)
    noise = smart._noise(batch, outputs)
    assert all(weight.grad is None for weight in network.parameters())
    torch.manual_seed(0)
    added = smart(batch, outputs)
    noisy = network(batch, noise)
    for task in ALL_TASKS:
        expected = 2.5 * task.divergence(outputs[task.name], noisy[task.name]).mean()
        assert added[task.name].item() == pytest.approx(expected.item(), rel=1e-5)
        assert added[task.name].item() > 0
        weight = network.encoder.layers[0].attention.qkv.weight
        (found,) = torch.autograd.grad(added[task.name], weight, retain_graph=True)
        (wanted,) = torch.autograd.grad(expected, weight, retain_graph=True)
        assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-8)


def test_noise_is_no_data_for_batch_normalisation(
    still: Config, network: Network, batch: Batch
) -> None:
    outputs = network(batch)
    before = {name: value.clone() for name, value in network.named_buffers()}
    Smart(still, ALL_TASKS, network)(batch, outputs)
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
    network(batch)
    norms = [module for module in network.modules() if isinstance(module, BatchNorm)]
    assert norms
    assert all(int(norm.num_batches_tracked) == 2 for norm in norms)


@pytest.mark.parametrize("name", ["smart", "bregman"])
def test_a_weight_of_zero_trains_as_none_to_the_bit(name: str, fit: Fit, tiny: Config) -> None:
    plain, without = fit(tiny), fit(tiny.replace(**{name: True, f"{name}_weight": 0.0}))
    assert plain.reports == without.reports
    assert all(torch.equal(w, without.weights[n]) for n, w in plain.weights.items())


def test_reported_losses_are_those_of_the_tasks_alone(
    still: Config, corpus: Corpus, pretrained: Pretrained, accelerator: Accelerator, batch: Batch
) -> None:
    losses = []
    for weight in (0.0, 10.0):
        config = still.replace(smart_weight=weight, bregman=True, bregman_weight=weight)
        step = Step(config, ALL_TASKS, pretrained, accelerator, 8)
        step.network.train()
        losses.append([step(batch, update) for update in range(3)])
    assert torch.equal(losses[0][0], losses[1][0])
    assert not torch.equal(losses[0][2], losses[1][2])


def test_it_makes_the_outputs_smoother(
    fit: Fit, still: Config, network: Network, batch: Batch
) -> None:
    """A single seed, but of two trainings that differ in nothing else, and by a large factor."""
    assert isinstance(batch.sentences, Packed)
    config = still.replace(epochs=4, smart_weight=10.0, smart_radius=0.1, smart_step_size=0.1)
    noise = 0.1 * torch.randn(len(batch.sentences.tokens), 32).sign()
    found = []
    for smart in (False, True):
        network.load_state_dict(fit(config.replace(smart=smart)).weights)
        found.append(changes(network.eval(), batch, noise))
    assert found[1] < 0.7 * found[0]
