"""The factors compose: any configuration of the widest space trains, and goes on where it was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
from accelerate import Accelerator
from hypothesis import HealthCheck, Phase, assume, example, given, settings

from model.encoder.pretrained import Pretrained
from model.network.network import Network
from model.tasks.shipped import ALL_TASKS
from model.training.step import Step
from spaces import Config, Value, load_study
from tests.model.conftest import Fit
from tests.points import points
from tests.tries import tries

EPOCHS = 3
WIDE = load_study("wide").space
BUDGET = {"epochs": EPOCHS, "samples_per_epoch": 32, "batch_size": 16, "max_length": 32}
EXAMPLES: list[Mapping[str, Value]] = [
    {"pair_encoding": "joint", "smart": True, "bregman": True, "gradient_surgery": "pcgrad"},
    {"lora_rank": 4, "layer_decay": 0.7, "unfreezing": "gradual", "bregman": True},
    {"trainable_layers": "none", "pooling": "attention", "loss_weighting": "uncertainty"},
    {"trainable_layers": "none", "shared_pair_head": False, "gradient_surgery": "pcgrad"},
    {"reinitialized_layers": 6, "sampling": "annealed", "loss_weighting": "dynamic"},
]


@pytest.fixture(scope="session")
def deep(pretrained: Pretrained) -> Pretrained:
    """The tests' encoder with its two layers three times over, as deep as the packaged one."""
    weights = dict(pretrained.weights)
    for name, weight in pretrained.weights.items():
        for layer in (0, 1):
            above = name.removeprefix(f"layers.{layer}.")
            if above != name:
                weights |= {f"layers.{layer + more}.{above}": weight for more in (2, 4)}
    return replace(pretrained, shape=replace(pretrained.shape, layers=6), weights=weights)


@pytest.mark.slow
@settings(
    max_examples=tries(3),
    derandomize=True,  # each takes a second: the same ones everywhere, and none smaller
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(points(WIDE))
@example(EXAMPLES[0])
@example(EXAMPLES[1])
@example(EXAMPLES[2])
@example(EXAMPLES[3])
@example(EXAMPLES[4])
def test_any_configuration_trains_all_of_itself_and_goes_on_as_it_would_have(
    fit: Fit, deep: Pretrained, accelerator: Accelerator, point: Mapping[str, Value]
) -> None:
    config = WIDE.config({**point, **BUDGET})
    assume(min(config.loss_weights) > 1e-3)  # a task without weight trains nothing, on purpose
    whole = fit(config, encoder=deep)
    numbers = [number for _, metrics in whole.reports for number in metrics.values()]
    assert all(map(math.isfinite, numbers))
    assert untouched(config, whole.last["optimizer"], deep, accelerator) == set()

    stopped = fit(config, encoder=deep, stop_after=1)
    resumed = fit(config, folder=stopped.folder, encoder=deep)
    assert resumed.reports == whole.reports
    assert all(resumed.weights[name].equal(weight) for name, weight in whole.weights.items())


def untouched(
    config: Config, optimizer: dict[str, object], encoder: Pretrained, accelerator: Accelerator
) -> set[str]:
    """The trainable parameters that never had a gradient."""
    step = Step(config, ALL_TASKS, encoder, accelerator, updates=1)
    step.optimizer.load_state_dict(optimizer)
    network: Network = step.plain
    network.start_epoch(EPOCHS)
    return {
        name
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
        and not step.optimizer.state.get(parameter, {}).get("exp_avg_sq", parameter * 0).any()
    }
