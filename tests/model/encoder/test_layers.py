"""Layers with rates of their own, that wait for their epoch, or that start anew."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from model.encoder.bert import Layer
from model.encoder.initialization import draw_anew
from model.encoder.pretrained import Pretrained
from model.network.network import Network, build_network
from model.storage.checkpoint import load_best
from model.tasks.shipped import ALL_TASKS
from model.training.optimizer import build_optimizer
from spaces import Config, UserError
from tests.model.test_factors import encoder_parts, same

Fit = Any  # conftest's


def parts(network: Network) -> dict[str, nn.Module]:
    encoder = network.encoder
    layers = {str(number): layer for number, layer in enumerate(encoder.layers)}
    return {"embeddings": encoder.embeddings, **layers, "heads": network.heads}


def peak_rates(config: Config, pretrained: Pretrained) -> dict[str, set[float]]:
    network = build_network(config, ALL_TASKS, pretrained)
    groups = build_optimizer(config, network).param_groups
    rates = {p: group["peak"] for group in groups for p in group["params"]}
    return {
        name: {rates.get(p) for p in part.parameters()} for name, part in parts(network).items()
    }


def test_the_rate_falls_from_layer_to_layer_down_to_the_embeddings(pretrained: Pretrained) -> None:
    config = Config(encoder_learning_rate=1e-4, head_learning_rate=1e-3, layer_decay=0.8)
    found = peak_rates(config, pretrained)
    rates = {name: rate for name, (rate,) in found.items()}
    expected = {"1": 1e-4, "0": 0.8e-4, "embeddings": 0.64e-4, "heads": 1e-3}
    assert rates == pytest.approx(expected)


def test_without_decay_there_are_no_more_groups_than_encoder_and_heads_need(
    pretrained: Pretrained,
) -> None:
    config = Config(encoder_learning_rate=1e-4)
    network = build_network(config, ALL_TASKS, pretrained)
    groups = build_optimizer(config, network).param_groups
    assert [(g["peak"], g["weight_decay"]) for g in groups] == [
        (1e-4, 0.01),
        (1e-4, 0.0),
        (1e-3, 0.01),
        (1e-3, 0.0),
    ]


def test_decay_reaches_trained_layers_only(pretrained: Pretrained) -> None:
    config = Config(encoder_learning_rate=1.0 / 128, trainable_layers=2, layer_decay=0.75)
    rates = peak_rates(config, pretrained)
    assert rates["embeddings"] == {None}
    assert rates["0"] == {0.75 / 128}


def moved(run: Any, pretrained: Pretrained) -> set[str]:
    weights, _ = load_best(run.folder)
    return encoder_parts({**weights, **run.weights}, pretrained)


@pytest.mark.parametrize(
    ("trainable", "by_epoch"),
    [("all", [{"1"}, {"0", "1", "embeddings"}]), (2, [{"1"}, {"0", "1"}, {"0", "1"}])],
)
def test_each_epoch_trains_one_layer_more(
    trainable: str | int,
    by_epoch: list[set[str]],
    fit: Fit,
    tiny: Config,
    pretrained: Pretrained,
) -> None:
    """Nor does weight decay reach the others."""
    config = tiny.replace(
        trainable_layers=trainable, unfreezing="gradual", weight_decay=0.1, epochs=3
    )
    for epoch, expected in enumerate(by_epoch, start=1):
        assert moved(fit(config, stop_after=epoch), pretrained) == expected


def test_the_first_epoch_is_that_of_one_trainable_layer(fit: Fit, tiny: Config) -> None:
    gradual = fit(tiny.replace(unfreezing="gradual"), stop_after=1)
    one = fit(tiny.replace(trainable_layers=1), stop_after=1)
    assert gradual.reports == one.reports
    assert same({name: gradual.weights[name] for name in one.weights}, one.weights)


def test_the_optimizer_knows_nothing_of_a_layer_before_its_epoch(fit: Fit, tiny: Config) -> None:
    config = tiny.replace(unfreezing="gradual")
    known: list[set[float]] = []
    for epoch in (1, 2):
        state = fit(config, stop_after=epoch).last["optimizer"]["state"]
        known.append({float(entry["step"]) for entry in state.values()})
    assert known == [{4.0}, {4.0, 8.0}]


def test_layers_that_wait_drop_nothing(pretrained: Pretrained) -> None:
    network = build_network(Config(unfreezing="gradual"), ALL_TASKS, pretrained)
    for epoch, waiting in ((1, {"embeddings", "0"}), (2, set()), (3, set())):
        network.start_epoch(epoch)
        network.train()
        found = {name for name, part in parts(network).items() if not part.training}
        frozen = {
            name
            for name, part in parts(network).items()
            if not any(p.requires_grad for p in part.parameters())
        }
        assert found == frozen == waiting
        assert network.frozen == set()


def weights_of(config: Config, pretrained: Pretrained) -> dict[str, Tensor]:
    return build_network(config, ALL_TASKS, pretrained).state_dict()


@pytest.mark.parametrize(("wanted", "anew"), [(0, set()), (1, {"1"}), (2, {"0", "1"})])
def test_as_many_top_layers_as_asked_for_start_anew(
    wanted: int, anew: set[str], pretrained: Pretrained
) -> None:
    weights = weights_of(Config(reinitialized_layers=wanted), pretrained)
    assert encoder_parts(weights, pretrained) == anew
    usual = weights_of(Config(), pretrained)
    heads = [name for name in usual if name.startswith("heads.")]
    assert all(torch.equal(weights[name], usual[name]) for name in heads)


def test_new_layers_come_from_the_seed(pretrained: Pretrained) -> None:
    config = Config(reinitialized_layers=1)
    first, again, other = (weights_of(config.replace(seed=seed), pretrained) for seed in (0, 0, 1))
    name = "encoder.layers.1.attention.qkv.weight"
    assert same(first, again)
    assert not torch.equal(first[name], other[name])


def test_new_weights_are_drawn_as_bert_s(pretrained: Pretrained) -> None:
    layer = Layer(pretrained.shape, 0.0, 0.0)
    layer.requires_grad_(False)
    for weights in layer.parameters():
        weights.fill_(7)
    draw_anew(layer, torch.Generator().manual_seed(0))
    for name, weights in layer.named_parameters():
        if weights.ndim == 2:
            assert float(weights.std()) == pytest.approx(0.02, rel=0.1), name
            assert abs(float(weights.mean())) < 0.002, name
        else:
            assert weights.unique().tolist() == [float(name.endswith("norm.weight"))], name


def test_more_new_layers_than_there_are_are_refused(pretrained: Pretrained) -> None:
    with pytest.raises(UserError, match="reinitialized_layers is 3, but this encoder has 2 layers"):
        build_network(Config(reinitialized_layers=3), ALL_TASKS, pretrained)
