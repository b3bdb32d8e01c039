"""Gives everyone the same examples: those of each update, as text and as our own batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from model import (
    ALL_TASKS,
    TRAIN,
    Corpus,
    Dataset,
    Example,
    Pretrained,
    build_corpus,
    load_dataset,
    load_encoder,
    load_tokenizer,
)
from model.data.batches import Batch, epoch_batches
from model.data.sampling import draw
from spaces import Config, DataSettings

TASKS = tuple(task.name for task in ALL_TASKS)

Update = dict[str, list[Example]]
"""Each task's examples."""


@dataclass(frozen=True)
class Workload:
    """The updates of the first epoch of a training with `config`: as text in `updates`, and as our
    own `batches`."""

    config: Config
    corpus: Corpus
    encoder: Pretrained
    updates: list[Update]
    tokens: list[int]
    """How many tokens each update has, without padding."""

    def batches(self) -> Iterator[Batch]:
        """Our own batches of the same updates."""
        return epoch_batches(self.config, ALL_TASKS, self.corpus, 1, torch.device("cpu"))


def workload(data: str, updates: int, batch_size: int) -> Workload:
    """`updates` updates on the embedded data or on those of a folder."""
    config = Config(batch_size=batch_size, samples_per_epoch=batch_size * updates)
    dataset = load_dataset(DataSettings(path=data), with_extra=False)
    encoder = load_encoder("minilm")
    corpus = build_corpus(dataset, load_tokenizer(encoder))
    drawn = {name: _drawn(dataset, name, number, config) for number, name in enumerate(TASKS)}
    texts = [{name: drawn[name][update] for name in TASKS} for update in range(updates)]
    made = Workload(config, corpus, encoder, texts, [])
    made.tokens.extend(len(batch.sentences.tokens) for batch in made.batches())
    return made


def _drawn(dataset: Dataset, name: str, number: int, config: Config) -> list[list[Example]]:
    examples = dataset.splits[name][TRAIN]
    chosen = draw(len(examples), config.samples_per_epoch, (config.seed, 1, number))
    updates = config.samples_per_epoch // config.batch_size
    return [[examples[i] for i in part] for part in np.array_split(chosen, updates)]
