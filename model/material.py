"""Makes, from a study's settings, the corpus and the encoder that its trials share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from model.data.corpus import DEV, Corpus, Split, build_corpus
from model.data.corpus_cache import cache_key, read_cache, write_cache
from model.data.examples import Dataset, SkippedRow
from model.data.readers import SPLITS, data_files, file_content, read_folder
from model.data.sampling import Sampling
from model.encoder.pretrained import Pretrained, load_encoder
from model.encoder.tokenizer import load_tokenizer
from model.grammar.generate import generate
from model.tasks.metrics import is_constant, pearson
from model.tasks.shipped import ALL_TASKS
from spaces import EMBEDDED, DataSettings, StudyFile, UserError, Value


@dataclass(frozen=True)
class Material:
    """The corpus and the encoder of a study. `skipped` are the rows of the files that could not be
    used."""

    corpus: Corpus
    encoder: Pretrained
    skipped: tuple[SkippedRow, ...]
    files: Mapping[str, str]
    """The hash of each data file, by its name."""
    tokenizer: str
    """The hash of the encoder's tokenizer."""


def load_material(study: StudyFile) -> Material:
    """Read and tokenise the data, load the encoder, and check that the space fits them.

    Raises:
        UserError: if data or encoder cannot be read, or the encoder is too small for a value of
            the space, or the dev examples give the objective no value, or the first rung comes
            before the first update.
    """
    encoder = load_encoder(study.encoder.name)
    for factor in ("trainable_layers", "reinitialized_layers", "pooled_layers"):
        for value in _levels(study, factor):
            if isinstance(value, int) and value > encoder.shape.layers:
                raise UserError(
                    f"{factor} allows {value}, but the encoder {encoder.name} has "
                    f"{encoder.shape.layers} layers."
                )
    for value in _levels(study, "max_length"):
        if value > encoder.shape.positions:
            raise UserError(
                f"max_length allows {value}, but the encoder {encoder.name} reads at most "
                f"{encoder.shape.positions} tokens."
            )
    with_extra = any(_levels(study, "extra_data"))
    tokenizer = load_tokenizer(encoder)
    files = _file_hashes(study.data, with_extra)
    corpus, skipped = _load_corpus(study.data, with_extra, tokenizer, files)
    _check_scores(study, corpus)
    _check_first_rung(study, corpus)
    return Material(corpus, encoder, skipped, files, _hash(tokenizer.to_str().encode()))


def _check_first_rung(study: StudyFile, corpus: Corpus) -> None:
    """Raise UserError where the first rung comes before the first update of an epoch, which can be
    checked only here where an epoch is all data."""
    if "sequential" not in _levels(study, "sampling"):
        return
    _, largest = study.space.bounds("batch_size")
    config = study.space.config(sampling="sequential", batch_size=largest, extra_data=False)
    updates = Sampling.of(config, ALL_TASKS, corpus).updates_per_epoch
    if study.search.grace_epochs * updates < 1:
        raise UserError(
            f"search.grace_epochs must be at least one update, but {study.search.grace_epochs:g} "
            f"of all data, {updates} updates of batch_size {largest}, is less."
        )


def _check_scores(study: StudyFile, corpus: Corpus) -> None:
    """Each score that the objective is made of must be able to tell networks apart."""
    for task in ALL_TASKS:
        if study.search.objective not in ("mean", task.name):
            continue
        dev = corpus.splits[task.name][DEV]
        files, _ = SPLITS[task.name]
        path = study.data.path
        where = path if path == EMBEDDED else str(Path(path) / files.format(DEV))
        if len(dev) < 2:
            raise UserError(f"{where} has {len(dev)} usable row(s); a dev score needs two or more.")
        if is_constant(dev.labels):
            raise UserError(
                f"{where}: all {len(dev)} labels are {dev.labels[0]:g}, with which every network "
                f"would have the same score of {task.name} or none; dev labels must differ."
            )
        if task.metric is pearson and _are_alike(corpus, dev):
            raise UserError(
                f"{where}: all {len(dev)} rows have the same sentences, as the encoder's tokenizer "
                f"reads them, and predictions that cannot differ have no score of {task.name}."
            )


def _are_alike(corpus: Corpus, split: Split) -> bool:
    """Whether no two examples differ in their tokens."""

    def tokens(number: int) -> bytes:
        return corpus.tokens[corpus.offsets[number] : corpus.offsets[number + 1]].tobytes()

    columns = [split.first] if split.second is None else [split.first, split.second]
    return all(len({tokens(number) for number in np.unique(column)}) == 1 for column in columns)


def load_dataset(data: DataSettings, with_extra: bool) -> Dataset:
    """The examples that the settings name."""
    if data.path == EMBEDDED:
        return generate(data.seed, data.train, data.dev)
    return read_folder(Path(data.path), with_extra=with_extra)


def _load_corpus(
    data: DataSettings, with_extra: bool, tokenizer: Tokenizer, files: Mapping[str, str]
) -> tuple[Corpus, tuple[SkippedRow, ...]]:
    """Read the corpus out of the cache, or make it and keep it there."""
    key = cache_key(_sources(data, tokenizer, files))
    if (stored := read_cache(key)) is not None:
        return stored
    dataset = load_dataset(data, with_extra)
    corpus = build_corpus(dataset, tokenizer)
    if files == _file_hashes(data, with_extra):  # No file changed meanwhile.
        write_cache(key, corpus, dataset.skipped)
    return corpus, dataset.skipped


def _sources(data: DataSettings, tokenizer: Tokenizer, files: Mapping[str, str]) -> Iterator[bytes]:
    """Everything that decides what is in a corpus: the files' contents, the settings and the
    tokenizer."""
    yield tokenizer.to_str().encode()
    made = [data.seed, data.train, data.dev] if data.path == EMBEDDED else []
    yield json.dumps([made, list(files.items())]).encode()


def _file_hashes(data: DataSettings, with_extra: bool) -> dict[str, str]:
    """Of what is read, by the file's name; nothing where the data are made."""
    if data.path == EMBEDDED:
        return {}
    files = data_files(Path(data.path), with_extra)
    return {file.name: _hash(file_content(file)) for file in files}


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _levels(study: StudyFile, factor: str) -> tuple[Value, ...]:
    """The values that a factor can take; of an interval its upper end."""
    domain = study.space.free.get(factor)
    if domain is None:
        return (study.space.fixed[factor],)
    return domain.levels or (getattr(domain, "high", None),)
