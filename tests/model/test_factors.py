"""Every declared factor changes what is computed, where it is active, and nothing where not."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor

from model.data.batches import epoch_batches
from model.data.corpus import Corpus
from model.encoder.pretrained import Pretrained
from model.network.network import build_network
from model.storage.checkpoint import load_best
from model.tasks.shipped import ALL_TASKS
from spaces import Config, Simplex, factors

Fit = Any  # conftest's

VALUES: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "pooling": (("mean", "cls", "max", "attention"), {}),
    "head": (("feed-forward", "linear"), {}),
    "pooled_layers": ((1, 2), {}),
    "pair_encoding": (("separate", "joint"), {}),
    "pair_features": (("absolute difference", "difference", "concatenation"), {}),
    "similarity": (("head", "cosine"), {"shared_pair_head": False}),
    "shared_pair_head": ((True, False), {}),
    "jaccard": ((True, False), {}),
    "loss_weighting": (
        ("equal", "report", "tuned", "uncertainty", "dynamic"),
        {"loss_weights": (0.2, 0.3, 0.5), "epochs": 3},
    ),
    "loss_weights": (
        ((0.5, 0.25, 0.25), (0.5, 0.3, 0.2), (0.4, 0.35, 0.25)),
        {"loss_weighting": "tuned"},
    ),
    "extra_data": ((False, True, "share"), {"extra_share": 0.4}),
    "extra_share": ((0.0, 0.5, 1.0), {"extra_data": "share"}),
    "sampling": (
        ("balanced", "sequential", "proportional", "annealed"),
        {"epochs": 3, "extra_data": True},
    ),
    "trainable_layers": (("all", 2, 1, "none"), {}),
    "lora_rank": ((0, 4, 8, 16, 32), {}),
    "encoder_learning_rate": ((1e-3, 1.01e-3), {}),
    "layer_decay": ((0.6, 0.99, 1.0), {}),
    "unfreezing": (("none", "gradual"), {}),
    "reinitialized_layers": ((0, 1, 2), {}),
    "gradient_surgery": (("none", "pcgrad"), {}),
    "head_learning_rate": ((1e-2, 1.01e-2), {}),
    "schedule": (("linear", "constant"), {}),
    "warmup": ((0.0, 0.5), {}),
    "weight_decay": ((0.0, 0.01), {}),
    "dropout": ((0.0, 0.1), {}),
    "head_dropout": ((0.0, 0.1), {}),
    "smart": ((False, True), {}),
    "smart_weight": ((0.0, 1.0, 2.0), {"smart": True}),
    "smart_radius": ((1e-3, 1e-2), {"smart": True, "smart_step_size": 1e-2}),
    "smart_noise": ((1e-4, 1e-2), {"smart": True, "smart_radius": 1e-2}),
    "smart_step_size": ((1e-3, 1e-2), {"smart": True, "smart_radius": 1e-2}),
    "smart_steps": ((1, 2), {"smart": True, "smart_radius": 1e-2}),
    "bregman": ((False, True), {}),
    "bregman_weight": ((0.0, 1.0, 2.0), {"bregman": True}),
    "bregman_momentum": ((0.0, 0.9, 0.999), {"bregman": True}),
    "batch_size": ((4, 8), {}),
    "max_length": ((6, 24), {}),
    "samples_per_epoch": ((24, 32), {}),
    "epochs": ((1, 2), {}),
    "early_stopping": ((0, 1), {"epochs": 6, "schedule": "constant"}),
    "seed": ((0, 1), {}),
}
"""Values of each factor that must all give different trainings, and under which other values."""

INACTIVE: list[tuple[str, Any, dict[str, Any]]] = [
    ("pair_features", "difference", {"pair_encoding": "joint"}),
    ("similarity", "cosine", {"pair_encoding": "joint", "shared_pair_head": False}),
    ("similarity", "cosine", {"shared_pair_head": True}),
    ("loss_weights", (0.1, 0.1, 0.8), {"loss_weighting": "report"}),
    ("loss_weights", (0.1, 0.1, 0.8), {"loss_weighting": "equal"}),
    ("lora_rank", 8, {"trainable_layers": 2}),
    ("encoder_learning_rate", 1e-5, {"trainable_layers": "none"}),
    ("layer_decay", 0.6, {"trainable_layers": 1}),
    ("layer_decay", 0.6, {"trainable_layers": "none"}),
    ("unfreezing", "gradual", {"trainable_layers": 1}),
    ("unfreezing", "gradual", {"trainable_layers": "none"}),
    ("reinitialized_layers", 1, {"trainable_layers": "none"}),
    ("reinitialized_layers", 1, {"lora_rank": 8}),
    ("gradient_surgery", "pcgrad", {"sampling": "proportional"}),
    ("head_dropout", 0.5, {"head": "linear"}),
    ("extra_share", 0.9, {"extra_data": True}),
    ("smart", True, {"trainable_layers": "none"}),
    ("smart_weight", 2.0, {"smart": False}),
    ("smart_radius", 1e-2, {"smart": False}),
    ("smart_noise", 1e-2, {"smart": False}),
    ("smart_step_size", 1e-2, {"smart": False}),
    ("smart_steps", 2, {"smart": False}),
    ("bregman_weight", 2.0, {"bregman": False}),
    ("bregman_momentum", 0.5, {"bregman": False}),
    ("samples_per_epoch", 40, {"sampling": "sequential"}),
]


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Whether two networks have the same shape and weights, to the bit."""
    return first.keys() == second.keys() and all(
        torch.equal(tensor, second[name]) for name, tensor in first.items()
    )


def test_no_declared_factor_is_left_out() -> None:
    assert set(VALUES) == set(factors())


def test_every_condition_is_tested() -> None:
    conditional = {name for name, factor in factors().items() if factor.when}
    assert {name for name, _, _ in INACTIVE} == conditional


def test_every_value_of_a_choice_is_tested() -> None:
    """Of layers only as many as the tiny encoder has."""
    for name, factor in factors().items():
        levels = factor.domain.levels
        if levels is not None:
            tested = {value for value in levels if value in ("all", "none") or value in (1, 2)}
            expected = tested if name == "trainable_layers" else set(levels)
            assert set(VALUES[name][0]) == expected


@pytest.mark.parametrize("name", VALUES)
def test_each_value_of_a_factor_trains_another_network(name: str, fit: Fit, tiny: Config) -> None:
    values, others = VALUES[name]
    usual = tiny.replace(**others)
    runs = {value: fit(usual.replace(**{name: value})) for value in values}
    for first, second in combinations(values, 2):
        assert not same(runs[first].weights, runs[second].weights), (first, second)
        assert runs[first].reports[-1] != runs[second].reports[-1], (first, second)


@pytest.mark.parametrize(("name", "value", "others"), INACTIVE)
def test_an_inactive_factor_changes_nothing(
    name: str, value: Any, others: dict[str, Any], fit: Fit, tiny: Config
) -> None:
    config = tiny.replace(**others)
    runs = [fit(config), fit(config.replace(**{name: value}))]
    assert same(runs[0].weights, runs[1].weights)
    assert runs[0].reports == runs[1].reports


def test_equal_weights_train_as_the_centre_of_the_simplex(fit: Fit, tiny: Config) -> None:
    simplex = factors()["loss_weights"].domain
    assert isinstance(simplex, Simplex)
    equal = fit(tiny.replace(loss_weighting="equal"))
    tuned = fit(tiny.replace(loss_weighting="tuned", loss_weights=simplex.centre))
    assert same(equal.weights, tuned.weights)
    assert equal.reports == tuned.reports


def test_reports_weights_train_as_tuned_ones_of_their_value(fit: Fit, tiny: Config) -> None:
    report = fit(tiny.replace(loss_weighting="report"))
    tuned = fit(tiny.replace(loss_weighting="tuned", loss_weights=(0.5, 0.25, 0.25)))
    assert same(report.weights, tuned.weights)
    assert report.reports == tuned.reports


def test_a_task_without_weight_trains_nothing(
    fit: Fit, tiny: Config, pretrained: Pretrained
) -> None:
    config = tiny.replace(
        loss_weighting="tuned",
        loss_weights=(0.0, 0.0, 1.0),
        shared_pair_head=False,
        weight_decay=0.0,
    )
    before = build_network(config, ALL_TASKS, pretrained)
    weights = fit(config).weights
    changed = {
        name.split(".")[1]
        for name, parameter in before.heads.named_parameters(prefix="heads")
        if not torch.equal(parameter, weights[name])
    }
    assert changed == {"sts"}


def encoder_parts(weights: dict[str, Tensor], pretrained: Pretrained) -> set[str]:
    """The parts of the encoder whose bytes are no longer the checkpoint's."""
    return {
        "embeddings" if name.startswith("embeddings") else name.split(".")[1]
        for name, before in pretrained.weights.items()
        if before.tobytes() != weights[f"encoder.{name}"].numpy().tobytes()
    }


@pytest.mark.parametrize(
    ("trainable", "changed"),
    [("none", set()), (1, {"1"}), (2, {"0", "1"}), ("all", {"0", "1", "embeddings"})],
)
def test_only_the_last_layers_asked_for_are_trained(
    trainable: str | int, changed: set[str], fit: Fit, tiny: Config, pretrained: Pretrained
) -> None:
    run = fit(tiny.replace(trainable_layers=trainable, weight_decay=0.1))
    weights, _ = load_best(run.folder)
    assert encoder_parts(weights, pretrained) == changed
    kept = {name.removeprefix("encoder.") for name in run.weights}
    frozen = pretrained.weights.keys() - kept
    assert encoder_parts(weights, pretrained).isdisjoint(
        "embeddings" if name.startswith("embeddings") else name.split(".")[1] for name in frozen
    )


@pytest.mark.parametrize(("trainable", "repeats"), [("all", False), (1, False), ("none", True)])
def test_frozen_parts_drop_nothing(
    trainable: str | int, repeats: bool, tiny: Config, corpus: Corpus, pretrained: Pretrained
) -> None:
    config = tiny.replace(trainable_layers=trainable, dropout=0.3)
    network = build_network(config, ALL_TASKS, pretrained).train()
    batch = next(epoch_batches(config, ALL_TASKS, corpus, 1, torch.device("cpu")))
    states: dict[str, list[Tensor]] = {"embeddings": [], "1": []}
    for name, part in (
        ("embeddings", network.encoder.embeddings),
        ("1", network.encoder.layers[1]),
    ):
        part.register_forward_hook(lambda _m, _i, out, name=name: states[name].append(out.detach()))
    for _ in range(2):
        network.embed(batch.sentences)
    assert torch.equal(*states["embeddings"]) == (trainable != "all")
    assert torch.equal(*states["1"]) == repeats


@pytest.mark.parametrize(
    ("dropout", "head_dropout", "repeats"),
    [(0.0, 0.0, True), (0.1, 0.0, False), (0.0, 0.1, False)],
)
def test_training_mode_repeats_itself_without_dropout_only(
    dropout: float,
    head_dropout: float,
    repeats: bool,
    tiny: Config,
    corpus: Corpus,
    pretrained: Pretrained,
) -> None:
    config = tiny.replace(dropout=dropout, head_dropout=head_dropout)
    network = build_network(config, ALL_TASKS, pretrained).train()
    batch = next(epoch_batches(config, ALL_TASKS, corpus, 1, torch.device("cpu")))
    first, second = network(batch), network(batch)
    assert all(torch.equal(first[name], second[name]) for name in first) == repeats


def test_heads_come_from_the_seed_and_the_encoder_does_not(
    tiny: Config, pretrained: Pretrained
) -> None:
    before = torch.get_rng_state()
    drawn = tiny.replace(similarity="head")  # that from the cosine always starts alike
    first, again, other = (
        build_network(drawn.replace(seed=seed), ALL_TASKS, pretrained) for seed in (0, 0, 1)
    )
    assert same(first.state_dict(), again.state_dict())
    assert same(first.encoder.state_dict(), other.encoder.state_dict())
    for name, weight in first.heads.named_parameters():
        if weight.ndim == 2:
            assert not torch.equal(weight, other.heads.get_parameter(name))
    assert torch.equal(torch.get_rng_state(), before)
