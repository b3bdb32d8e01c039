"""Work is counted in forward passes of an example, worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator

from model.data.corpus import Corpus
from model.data.sequences import Sequences
from model.encoder.pretrained import Pretrained
from model.network.network import build_network
from model.storage.cache import CACHE_VARIABLE
from model.tasks.shipped import ALL_TASKS
from model.training.frozen_embeddings import FrozenEmbeddings
from model.training.workload import (
    embedding_kind,
    embeds_once,
    epoch_work,
    example_work,
    work_kind,
)
from spaces import Config

HEADS = 0.01


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({}, 3),
        ({"trainable_layers": 3}, 1 + 2 * 3 / 6),
        ({"trainable_layers": "none", "pooling": "attention"}, 1),
        ({"lora_rank": 8}, 1 + 1.1),
        ({"gradient_surgery": "pcgrad"}, 1 + 2),
        ({"gradient_surgery": "pcgrad", "shared_pair_head": True}, 1 + 1.8 * 2),
        ({"bregman": True}, 3 + 1),
        ({"smart": True, "smart_steps": 2}, 3 + 2 * 2 + 3),
        ({"smart": True, "smart_weight": 0.0}, 3),
        ({"unfreezing": "gradual", "epochs": 2}, 1 + 2 * (1 / 6 + 2 / 6) / 2),
    ],
)
def test_passes_of_an_example(changes: dict[str, Any], passes: float) -> None:
    assert example_work(Config(**changes), layers=6) == pytest.approx(passes + HEADS)


def test_a_frozen_encoder_leaves_the_heads() -> None:
    frozen = Config(trainable_layers="none")
    assert embeds_once(frozen)
    assert not embeds_once(frozen.replace(pooling="attention"))
    assert epoch_work(frozen, 6, 1000, 10) == pytest.approx(1000 * HEADS)


@pytest.mark.parametrize("pooling", ["mean", "attention"])
@pytest.mark.parametrize("trainable", ["none", 1, "all"])
@pytest.mark.parametrize("rank", [0, 8])
def test_what_embeds_once_is_a_network_whose_embeddings_stay(
    pooling: str, trainable: str | int, rank: int, pretrained: Pretrained
) -> None:
    config = Config(pooling=pooling, trainable_layers=trainable, lora_rank=rank)
    network = build_network(config, ALL_TASKS, pretrained)
    assert embeds_once(config) == network.embeds_alike


@pytest.mark.parametrize(
    "changes",
    [
        *({"pooling": "cls"}, {"pooled_layers": 2}, {"max_length": 9}, {"pair_encoding": "joint"}),
        *({"seed": 5}, {"head_dropout": 0.3}, {"batch_size": 4}),
    ],
)
def test_embeddings_of_one_kind_lie_in_one_file(
    changes: dict[str, Any],
    pretrained: Pretrained,
    corpus: Corpus,
    accelerator: Accelerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    config = Config(trainable_layers="none", max_length=24)
    kinds = set()
    for one in (config, config.replace(**changes)):
        kinds.add(embedding_kind(one))
        network = build_network(one, ALL_TASKS, pretrained)
        FrozenEmbeddings(network, pretrained, Sequences.of(one, corpus), accelerator)
    assert len(list((tmp_path / "embeddings").iterdir())) == len(kinds)


def test_small_batches_cost_more_updates_of_the_optimizer() -> None:
    assert epoch_work(Config(), 6, 1000, 20) > epoch_work(Config(), 6, 1000, 10)


def test_only_what_costs_makes_a_kind() -> None:
    assert work_kind(Config()) == work_kind(Config(encoder_learning_rate=1e-3, head="linear"))
    assert work_kind(Config()) != work_kind(Config(smart=True))
    assert work_kind(Config()) != work_kind(Config(batch_size=64))
