"""Weights of the tasks that training itself decides."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from model.encoder.pretrained import Pretrained
from model.network.loss_weighting import DynamicWeighting, FixedWeighting, UncertaintyWeighting
from model.network.network import build_network
from model.tasks.shipped import ALL_TASKS
from model.training.optimizer import build_optimizer
from spaces import Config
from tests.model.test_factors import same

Fit = Any  # conftest's
LOSSES = {"sst": 1.5, "para": 0.5, "sts": 4.0}


def losses() -> dict[str, Tensor]:
    return {name: torch.tensor(loss, requires_grad=True) for name, loss in LOSSES.items()}


def values(terms: list[Tensor]) -> list[float]:
    found: list[float] = torch.stack(terms).tolist()
    return found


def test_fixed_weights_multiply() -> None:
    weighting = FixedWeighting({"sst": 0.5, "para": 0.3, "sts": 0.2})
    assert values(weighting(losses(), 1)) == pytest.approx([0.75, 0.15, 0.8])
    assert not weighting.state_dict()


def test_at_first_uncertainty_is_the_sum_with_squared_errors_halved() -> None:
    given = losses()
    terms = UncertaintyWeighting(ALL_TASKS)(given, 1)
    assert values(terms) == pytest.approx([1.5, 0.5, 4.0 / 2])
    gradients = torch.autograd.grad(torch.stack(terms).sum(), [*given.values()])
    assert [float(gradient) for gradient in gradients] == [1, 1, 0.5]


def test_uncertainty_by_hand() -> None:
    """With sigma^2 = 4 a task's loss counts a quarter, its own log(sigma) = log 2 is the price."""
    weighting = UncertaintyWeighting(ALL_TASKS)
    with torch.no_grad():
        for s in weighting.log_variances.values():
            s.fill_(math.log(4))
    expected = [1.5 / 4, 0.5 / 4, 4.0 / 8]
    assert values(weighting(losses(), 1)) == pytest.approx(
        [part + math.log(2) for part in expected]
    )


def test_uncertainty_settles_where_a_task_s_variance_is_its_squared_error() -> None:
    """The least of L / (2 sigma^2) + log(sigma) is at sigma^2 = L."""
    weighting = UncertaintyWeighting(ALL_TASKS)
    with torch.no_grad():
        weighting.log_variances["sts"].fill_(math.log(4.0))
    weighting({"sts": torch.tensor(4.0)}, 1)[0].backward()
    gradient = weighting.log_variances["sts"].grad
    assert gradient is not None
    assert float(gradient) == pytest.approx(0, abs=1e-7)
    assert weighting.log_variances["sst"].grad is None


def test_processes_together_pay_the_price_of_uncertainty_once() -> None:
    weighting = UncertaintyWeighting(ALL_TASKS)
    with torch.no_grad():
        for s in weighting.log_variances.values():
            s.fill_(0.7)
    shares = [{n: torch.tensor(loss * part) for n, loss in LOSSES.items()} for part in (0.25, 0.75)]
    alone = values(weighting(losses(), 1))
    together = [values(weighting(share, 2)) for share in shares]
    assert [sum(pair) for pair in zip(*together, strict=True)] == pytest.approx(alone)


def test_uncertainty_has_the_heads_rate_and_no_decay(pretrained: Pretrained) -> None:
    config = Config(loss_weighting="uncertainty", head_learning_rate=3e-3, weight_decay=0.5)
    network = build_network(config, ALL_TASKS, pretrained)
    own = set(network.weighting.parameters())
    groups = build_optimizer(config, network).param_groups
    found = [(g["peak"], g["weight_decay"]) for g in groups for p in g["params"] if p in own]
    assert found == [(3e-3, 0.0)] * 3


def test_dynamic_weights_by_hand() -> None:
    weighting = DynamicWeighting(ALL_TASKS)
    assert weighting.weights.tolist() == pytest.approx([1 / 3] * 3)
    weighting.end_epoch({"sst": 2.0, "para": 1.0, "sts": 4.0})
    assert weighting.weights.tolist() == pytest.approx([1 / 3] * 3)
    weighting.end_epoch({"sst": 2.0, "para": 0.5, "sts": 1.0})
    shares = [math.exp(ratio / 2) for ratio in (1.0, 0.5, 0.25)]
    expected = [share / sum(shares) for share in shares]
    assert weighting.weights.tolist() == pytest.approx(expected)
    terms = values(weighting(losses(), 1))
    assert terms == pytest.approx([w * x for w, x in zip(expected, LOSSES.values(), strict=True)])


def test_dynamic_weights_take_a_task_without_updates_as_unchanged() -> None:
    weighting = DynamicWeighting(ALL_TASKS)
    weighting.end_epoch({"sst": 2.0, "para": 1.0, "sts": 4.0})
    weighting.end_epoch({"sst": 2.0, "sts": 4.0})
    assert weighting.weights.tolist() == pytest.approx([1 / 3] * 3)


def test_dynamic_weights_are_equal_in_the_first_two_epochs(fit: Fit, tiny: Config) -> None:
    config = tiny.replace(epochs=3)
    dynamic = fit(config.replace(loss_weighting="dynamic"), stop_after=2)
    equal = fit(config.replace(loss_weighting="equal"), stop_after=2)
    assert dynamic.reports == equal.reports
    trained = {n: w for n, w in dynamic.weights.items() if not n.startswith("weighting.")}
    assert same(trained, equal.weights)


def test_dynamic_weights_follow_the_reported_training_losses(fit: Fit, tiny: Config) -> None:
    run = fit(tiny.replace(epochs=3, loss_weighting="dynamic"))
    for name, (_, metrics) in zip(("before", "last"), run.reports, strict=False):
        expected = [metrics[f"train_loss/{task.name}"] for task in ALL_TASKS]
        assert run.weights[f"weighting.{name}"].tolist() == pytest.approx(expected, rel=1e-6)


def test_uncertainties_are_learned_and_stored(fit: Fit, tiny: Config) -> None:
    run = fit(tiny.replace(loss_weighting="uncertainty"))
    learned = [run.weights[f"weighting.log_variances.{task.name}"] for task in ALL_TASKS]
    assert all(float(s) != 0 for s in learned)
