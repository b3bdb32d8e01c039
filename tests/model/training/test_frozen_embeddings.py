"""A frozen encoder encodes each sentence once, for all trials, and the scores do not tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from model.data.batches import epoch_batches
from model.data.corpus import Corpus
from model.data.sequences import Sequences
from model.encoder.bert import Encoder
from model.encoder.pretrained import Pretrained
from model.network.network import Network, build_network
from model.storage.cache import CACHE_VARIABLE
from model.tasks.shipped import ALL_TASKS
from model.training.evaluate import embed
from model.training.frozen_embeddings import FrozenEmbeddings
from spaces import Config
from tests.model.conftest import Fit

LENGTH = 24


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "embeddings"


@pytest.fixture
def network(pretrained: Pretrained) -> Network:
    return build_network(Config(trainable_layers="none"), ALL_TASKS, pretrained).eval()


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The sentences that any encoder reads from here on."""
    sentences: list[tuple[int, ...]] = []
    forward = Encoder.forward

    def watched(self: Encoder, packed: Any, *others: Any) -> Any:
        parts = packed.tokens.split(packed.lengths.tolist())
        sentences.extend(tuple(part.tolist()) for part in parts if part.any())
        return forward(self, packed, *others)

    monkeypatch.setattr(Encoder, "forward", watched)
    return sentences


def table_of(network: Network, encoder: Pretrained, corpus: Corpus, to: Accelerator) -> Any:
    return FrozenEmbeddings(network, encoder, Sequences(corpus, LENGTH), to)


@torch.no_grad()
def test_embeddings_are_those_of_the_network(
    network: Network, pretrained: Pretrained, corpus: Corpus, accelerator: Accelerator
) -> None:
    frozen = table_of(network, pretrained, corpus, accelerator)
    numbers = np.array([5, 3, 5, 40])
    expected = embed(network, Sequences(corpus, LENGTH), numbers, accelerator)
    for _ in range(2):
        frozen.prepare(numbers)
        assert torch.equal(frozen(numbers), expected)
    assert not network.training


@pytest.mark.parametrize("pairs", ["separate", "joint"])
def test_each_sequence_is_encoded_once_over_all_trials(
    pairs: str, fit: Fit, tiny: Config, encoded: list[tuple[int, ...]]
) -> None:
    config = tiny.replace(trainable_layers="none", epochs=3, pair_encoding=pairs)
    first = fit(config)
    assert len(encoded) == len(set(encoded)) > 100
    fit(config.replace(head_dropout=0.3, seed=1))
    assert len(encoded) == len(set(encoded))
    before = len(encoded)
    assert fit(config).reports == first.reports
    assert len(encoded) == before


def test_scores_are_the_same_without_a_cache(
    fit: Fit, tiny: Config, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny.replace(trainable_layers="none")
    kept = fit(config)
    assert len(list(cache.iterdir())) == 1
    cache.parent.joinpath("file").write_text("in the way of a folder")
    monkeypatch.setenv(CACHE_VARIABLE, str(cache.parent / "file"))
    assert fit(config).reports == kept.reports


@pytest.mark.parametrize("changes", [{}, {"pair_encoding": "joint"}, {"pooling": "attention"}])
def test_stopped_and_resumed_equals_never_stopped(
    changes: dict[str, Any], fit: Fit, tiny: Config
) -> None:
    config = tiny.replace(trainable_layers="none", **changes)
    whole = fit(config, report_at=(0.5,))
    part = fit(config, report_at=(0.5,), stop_after=0.5)
    rest = fit(config, part.folder, report_at=(0.5,))
    assert part.reports[:-1] + rest.reports == whole.reports


def test_a_pooling_that_learns_does_so_on_a_frozen_encoder_and_keeps_no_embeddings(
    fit: Fit, tiny: Config, cache: Path
) -> None:
    run = fit(tiny.replace(trainable_layers="none", pooling="attention", pair_encoding="joint"))
    assert not cache.exists()
    assert run.weights["pooling.query"].abs().min() > 0
    assert not any(name.startswith("encoder") for name in run.weights)


@pytest.mark.parametrize("other", ["pooling", "layers", "length", "joint", "encoder", "corpus"])
def test_what_decides_an_embedding_has_a_file_of_its_own(
    other: str,
    network: Network,
    pretrained: Pretrained,
    corpus: Corpus,
    accelerator: Accelerator,
    cache: Path,
) -> None:
    table_of(network, pretrained, corpus, accelerator)
    table_of(network, pretrained, corpus, accelerator)
    assert len(list(cache.iterdir())) == 1
    length, joint = LENGTH, other == "joint"
    if other == "layers":
        network.pooling.layers = 2
    elif other == "pooling":
        network.pooling.kind = "cls"
    elif other == "length":
        length = 9
    elif other == "encoder":
        weights = {name: array + 1 for name, array in pretrained.weights.items()}
        pretrained = Pretrained(**{**vars(pretrained), "weights": weights})
    elif other == "corpus":
        corpus = Corpus(corpus.tokens[::-1].copy(), corpus.offsets, corpus.splits)
    FrozenEmbeddings(network, pretrained, Sequences(corpus, length, joint), accelerator)
    assert len(list(cache.iterdir())) == 2


@torch.no_grad()
def test_a_row_that_was_not_written_whole_is_encoded_again(
    network: Network,
    pretrained: Pretrained,
    corpus: Corpus,
    accelerator: Accelerator,
    cache: Path,
    encoded: list[tuple[int, ...]],
) -> None:
    numbers = np.arange(12)
    first = table_of(network, pretrained, corpus, accelerator)
    first.prepare(numbers)
    expected = first(numbers)
    (file,) = cache.iterdir()
    rows = np.memmap(file, dtype=np.float32, mode="r+", shape=(len(corpus.offsets) - 1, 33))
    rows[3, 7] += 1
    rows[5] = 0
    rows.flush()
    encoded.clear()
    again = table_of(network, pretrained, corpus, accelerator)
    again.prepare(numbers)
    assert torch.equal(again(numbers), expected)
    assert encoded == [tuple(corpus.sentence(n, LENGTH).tolist()) for n in (3, 5)] or encoded == [
        tuple(corpus.sentence(n, LENGTH).tolist()) for n in (5, 3)
    ]


def test_batches_hold_the_embeddings_of_what_they_would_have_packed(
    network: Network,
    pretrained: Pretrained,
    corpus: Corpus,
    accelerator: Accelerator,
    tiny: Config,
) -> None:
    frozen = table_of(network, pretrained, corpus, accelerator)
    device = accelerator.device
    plain = list(epoch_batches(tiny, ALL_TASKS, corpus, 1, device))
    made = list(epoch_batches(tiny, ALL_TASKS, corpus, 1, device, frozen=frozen))
    assert len(made) == len(plain)
    for ours, theirs in zip(made, plain, strict=True):
        assert isinstance(ours.sentences, torch.Tensor)
        with torch.no_grad():
            expected = network.embed(theirs.sentences)  # type: ignore[arg-type]
        torch.testing.assert_close(ours.sentences, expected)
