"""A tiny encoder, a small corpus, and a training that takes a fraction of a second."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing
from torch import Tensor

from model.data.corpus import Corpus, build_corpus
from model.data.examples import Dataset
from model.encoder.bert import Encoder, EncoderShape
from model.encoder.bert_weights import to_transformers_names
from model.encoder.pretrained import Pretrained, load_encoder
from model.encoder.tokenizer import load_tokenizer
from model.grammar.generate import generate
from model.machine.device import make_accelerator
from model.storage.checkpoint import load_last
from model.tasks.shipped import ALL_TASKS
from model.training.reports import Save
from model.training.train import Metrics, Trained, train
from spaces import Config
from tests.model.other_encoders import save_model

TIMES = ("seconds", "examples_per_second")


@dataclass
class Run:
    """A training: what it reported, and what it wrote at its last report."""

    folder: Path
    reports: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    """Epochs with their metrics, without those that measure time."""
    trained: Trained | None = None

    @cached_property
    def last(self) -> dict[str, Any]:
        state = load_last(self.folder)
        assert state is not None
        return state

    @property
    def weights(self) -> dict[str, Tensor]:
        weights: dict[str, Tensor] = self.last["network"]
        return weights


class Fit(Protocol):
    def __call__(
        self,
        config: Config,
        folder: Path | None = None,
        *,
        stop_after: float | None = None,
        report_at: Sequence[float] = (),
        objective: str = "mean",
        encoder: Pretrained | None = None,
    ) -> Run: ...


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return generate(0, 96, 32)


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Path:
    """A random BERT of two layers, with a word for every word of the data, as a checkpoint."""
    folder = tmp_path_factory.mktemp("encoder")
    examples = [
        *(e for by_split in dataset.splits.values() for part in by_split.values() for e in part),
        *(e for part in dataset.extra.values() for e in part),
    ]
    text = " ".join(f"{e.first} {e.second or ''}" for e in examples).lower()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted(set(re.findall(r"\w+|[^\w\s]", text)))]
    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    shape = EncoderShape(
        vocabulary=len(words), hidden=32, layers=2, heads=4, intermediate=48, positions=128
    )
    config = {
        "model_type": "bert",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "max_position_embeddings": shape.positions,
    }
    (folder / "config.json").write_text(json.dumps(config))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = Encoder(shape)
    weights = {name: p.detach().numpy() for name, p in encoder.named_parameters()}
    named = to_transformers_names(weights)
    save_file({n: torch.tensor(w) for n, w in named.items()}, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="session")
def pretrained(encoder_folder: Path) -> Pretrained:
    return load_encoder(str(encoder_folder))


@pytest.fixture(scope="session")
def encoder_of(
    tmp_path_factory: pytest.TempPathFactory, pretrained: Pretrained
) -> Callable[[str], Pretrained]:
    """The encoder of a family for the tests' corpus."""

    def load(family: str) -> Pretrained:
        folder = tmp_path_factory.mktemp(family)
        return load_encoder(str(save_model(family, folder, pretrained.shape.vocabulary)))

    return load


@pytest.fixture(scope="session")
def tokenizer(pretrained: Pretrained) -> Tokenizer:
    return load_tokenizer(pretrained)


@pytest.fixture(scope="session")
def corpus(dataset: Dataset, tokenizer: Tokenizer) -> Corpus:
    return build_corpus(dataset, tokenizer)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """What is tiny does not gain from a second one, and loses much where cores are taken."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def accelerator() -> Accelerator:
    return make_accelerator("fp32")


@pytest.fixture
def tiny() -> Config:
    """Two epochs of four updates, at rates that change the weights enough to be seen."""
    return Config(
        batch_size=8,
        samples_per_epoch=32,
        epochs=2,
        max_length=24,
        encoder_learning_rate=1e-3,
        head_learning_rate=1e-2,
    )


@pytest.fixture
def fit(
    tmp_path: Path,
    corpus: Corpus,
    pretrained: Pretrained,
    accelerator: Accelerator,
    monkeypatch: pytest.MonkeyPatch,
) -> Fit:
    """Train, saving at every report, in a new folder or, to go on, in one that holds a run."""
    made = 0
    # No machine will lose power in these tests, and a flush takes longer than an epoch.
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)

    def fit(
        config: Config,
        folder: Path | None = None,
        *,
        stop_after: float | None = None,
        report_at: Sequence[float] = (),
        objective: str = "mean",
        encoder: Pretrained | None = None,
    ) -> Run:
        nonlocal made
        made += 1
        run = Run(folder or tmp_path / f"run{made}")

        def report(epoch: float, metrics: Metrics, save: Save) -> bool:
            save(run.folder)
            run.reports.append((epoch, {n: v for n, v in metrics.items() if n not in TIMES}))
            return epoch != stop_after

        run.trained = train(
            config,
            ALL_TASKS,
            corpus,
            encoder or pretrained,
            accelerator,
            report,
            report_at=report_at,
            objective=objective,
            resume=run.folder,
        )
        return run

    return fit
