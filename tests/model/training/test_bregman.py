"""Bregman proximal point updates: the reference follows, and holds the outputs back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from accelerate import Accelerator

from model.data.batches import Batch, epoch_batches
from model.data.corpus import Corpus
from model.encoder.pretrained import Pretrained
from model.network.network import Network, build_network
from model.storage.checkpoint import load_best
from model.tasks.shipped import ALL_TASKS
from model.training.bregman import Bregman
from model.training.step import Step
from spaces import Config

Fit = Any  # conftest's


@pytest.fixture
def still(tiny: Config) -> Config:
    """Without dropout every forward gives the same."""
    return tiny.replace(bregman=True, dropout=0.0, head_dropout=0.0)


@pytest.fixture
def network(still: Config, pretrained: Pretrained) -> Network:
    return build_network(still, ALL_TASKS, pretrained).train()


@pytest.fixture
def batch(still: Config, corpus: Corpus) -> Batch:
    return next(epoch_batches(still, ALL_TASKS, corpus, 1, torch.device("cpu")))


def test_nothing_is_added_before_the_first_step(
    still: Config, network: Network, batch: Batch
) -> None:
    added = Bregman(still, ALL_TASKS, network, 8)(batch, network(batch))
    assert {name: value.item() for name, value in added.items()} == dict.fromkeys(added, 0.0)


def test_the_distance_is_that_from_the_outputs_of_the_average(
    still: Config, network: Network, batch: Batch, pretrained: Pretrained
) -> None:
    bregman = Bregman(still.replace(bregman_weight=3.0), ALL_TASKS, network, 8)
    before = network(batch)
    with torch.no_grad():
        for weight in network.parameters():
            weight *= 1.1
    buffers = {name: value.clone() for name, value in network.named_buffers()}
    after = network(batch)
    tracked = {name: value.clone() for name, value in network.named_buffers()}
    added = bregman(batch, after)
    for task in ALL_TASKS:
        expected = 3 * task.divergence(after[task.name], before[task.name]).mean()
        assert added[task.name].item() == pytest.approx(expected.item(), rel=1e-4)
        assert added[task.name].requires_grad
    assert all(torch.equal(value, tracked[n]) for n, value in network.named_buffers())
    assert any(not torch.equal(value, buffers[n]) for n, value in tracked.items())


def test_the_average_keeps_less_in_the_first_tenth_of_the_updates(
    still: Config, network: Network
) -> None:
    """0.99 and then 0.999 (Jiang et al. 2020, 4.1); weights that go from 0 to 1."""
    bregman = Bregman(still, ALL_TASKS, network, 20)
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(1.0)
        for average in bregman.reference.values():
            average.zero_()
    kept = 1.0
    for update, momentum in enumerate((0.99, 0.99, 0.999, 0.999)):
        bregman.follow(update)
        kept *= momentum
        for average in bregman.reference.values():
            assert average.flatten()[0].item() == pytest.approx(1 - kept, rel=1e-4)


def test_a_momentum_of_zero_refers_to_the_weights_of_the_last_update(
    still: Config, pretrained: Pretrained, accelerator: Accelerator, batch: Batch
) -> None:
    step = Step(still.replace(bregman_momentum=0.0), ALL_TASKS, pretrained, accelerator, 8)
    step.network.train()
    for update in range(2):
        step(batch, update)
        for name, average in step.reference.items():
            assert torch.equal(average, step.plain.get_parameter(name))


@pytest.mark.parametrize("trainable", ["all", 1, "none"])
def test_the_average_is_of_what_is_trained_and_in_the_last_checkpoint_only(
    trainable: Any, fit: Fit, still: Config, pretrained: Pretrained
) -> None:
    config = still.replace(trainable_layers=trainable)
    run = fit(config)
    network = build_network(config, ALL_TASKS, pretrained)
    trained = {name for name, weight in network.named_parameters() if weight.requires_grad}
    assert set(run.last["reference"]) == trained
    assert set(load_best(run.folder)[0]) == set(network.state_dict())
    assert fit(config.replace(bregman=False)).last["reference"] == {}


def test_it_holds_the_weights_near_where_they_were(
    fit: Fit, still: Config, network: Network, batch: Batch
) -> None:
    """A single seed, but of two trainings that differ in nothing else, and by a large factor."""
    with torch.no_grad():
        start = network.eval()(batch)
    config = still.replace(epochs=4, bregman_weight=10.0)
    found = []
    for bregman in (False, True):
        network.load_state_dict(fit(config.replace(bregman=bregman)).weights)
        with torch.no_grad():
            end = network.eval()(batch)
        found.append(sum(t.divergence(start[t.name], end[t.name]).mean() for t in ALL_TASKS))
    assert found[1] < 0.7 * found[0]
