"""Learning rates by hand, and which parameters they and the weight decay reach."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from model.encoder.pretrained import Pretrained
from model.network.network import Network, build_network
from model.tasks.shipped import ALL_TASKS
from model.training.optimizer import build_optimizer, rate_factor, set_learning_rates
from spaces import Config


def rates(updates: int, **changes: Any) -> list[float]:
    config = Config(**changes)
    return [rate_factor(config, update, updates) for update in range(updates)]


def network(config: Config, pretrained: Pretrained) -> Network:
    return build_network(config, ALL_TASKS, pretrained)


def test_linear_schedule_rises_over_the_warmup_and_falls_to_the_end() -> None:
    expected = [1 / 2, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]
    assert rates(10, warmup=0.2, schedule="linear") == pytest.approx(expected)


def test_constant_schedule_rises_and_stays() -> None:
    expected = [1 / 2, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    assert rates(10, warmup=0.2, schedule="constant") == pytest.approx(expected)


def test_without_warmup_the_first_update_has_the_peak_rate() -> None:
    assert rates(4, warmup=0.0, schedule="linear") == [1, 3 / 4, 2 / 4, 1 / 4]
    assert rates(4, warmup=0.0, schedule="constant") == [1, 1, 1, 1]


@pytest.mark.parametrize("schedule", ["linear", "constant"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("updates", [1, 2, 3, 100])
def test_rates_are_never_above_the_peak_nor_zero(
    schedule: str, warmup: float, updates: int
) -> None:
    factors = rates(updates, warmup=warmup, schedule=schedule)
    assert all(0 < factor <= 1 for factor in factors)
    assert max(factors) == 1


def test_each_part_has_its_own_peak_rate(pretrained: Pretrained) -> None:
    config = Config(encoder_learning_rate=2e-5, head_learning_rate=3e-3, warmup=0.2)
    made = network(config, pretrained)
    optimizer = build_optimizer(config, made)
    set_learning_rates(optimizer, config, 0, 10)
    found = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert len(found) == len(list(made.parameters()))
    assert {found[id(p)] for p in made.encoder.parameters()} == {1e-5}
    assert {found[id(p)] for p in made.heads.parameters()} == {1.5e-3}
    set_learning_rates(optimizer, config, 1, 10)
    assert {group["lr"] for group in optimizer.param_groups} == {2e-5, 3e-3}


def test_weight_decay_shrinks_matrices_and_nothing_else(pretrained: Pretrained) -> None:
    """Where gradients are zero, AdamW's step is its decay: by rate times decay."""
    config = Config(weight_decay=0.5, encoder_learning_rate=1e-2, head_learning_rate=1e-1)
    made = network(config, pretrained)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.fill_(1)
            parameter.grad = torch.zeros_like(parameter)
    build_optimizer(config, made).step()
    left = {"encoder": 1 - 0.5e-2, "heads": 1 - 0.5e-1}
    seen = set()
    for name, parameter in made.named_parameters():
        matrix = parameter.ndim == 2
        seen.add((name.partition(".")[0], matrix))
        value = left[name.partition(".")[0]] if matrix else 1.0
        torch.testing.assert_close(parameter.detach(), torch.full_like(parameter, value))
    assert len(seen) == 4


@pytest.mark.parametrize(("trainable", "trained"), [("none", 0), (1, 1), (2, 2)])
def test_what_is_frozen_is_not_optimised(
    pretrained: Pretrained, trainable: str | int, trained: int
) -> None:
    config = Config(trainable_layers=trainable)
    made = network(config, pretrained)
    optimizer = build_optimizer(config, made)
    reached = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert all(id(p) not in reached for p in made.encoder.embeddings.parameters())
    for number, layer in enumerate(made.encoder.layers):
        expected = number >= len(made.encoder.layers) - trained
        assert {id(p) in reached for p in layer.parameters()} == {expected}
    assert all(id(p) in reached for p in made.heads.parameters())
