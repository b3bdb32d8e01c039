"""From a study's settings to the corpus and the encoder that its trials share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model.corpus import Corpus, build_corpus
from model.embedded import generate
from model.examples import Dataset, SkippedRow
from model.pretrained import Pretrained, load_encoder, load_tokenizer
from model.readers import read_folder
from spaces import EMBEDDED, DataSettings, StudyFile, UserError, Value


@dataclass(frozen=True)
class Material:
    """`skipped` are the rows of the files that could not be used."""

    corpus: Corpus
    encoder: Pretrained
    skipped: tuple[SkippedRow, ...]


def load_material(study: StudyFile) -> Material:
    """Read and tokenise the data, load the encoder, and check that the space fits them.

    Raises:
        UserError: if data or encoder cannot be read, or the encoder is too small for a value of
            the space.
    """
    encoder = load_encoder(study.encoder.name)
    for value in _levels(study, "trainable_layers"):
        if isinstance(value, int) and value > encoder.shape.layers:
            raise UserError(
                f"trainable_layers allows {value}, but the encoder {encoder.name} has "
                f"{encoder.shape.layers} layers."
            )
    for value in _levels(study, "max_length"):
        if value > encoder.shape.positions:
            raise UserError(
                f"max_length allows {value}, but the encoder {encoder.name} reads at most "
                f"{encoder.shape.positions} tokens."
            )
    dataset = load_dataset(study.data, with_extra=True in _levels(study, "extra_data"))
    return Material(build_corpus(dataset, load_tokenizer(encoder)), encoder, dataset.skipped)


def load_dataset(data: DataSettings, with_extra: bool) -> Dataset:
    """The examples that the settings name."""
    if data.path == EMBEDDED:
        return generate(data.seed, data.train, data.dev)
    return read_folder(Path(data.path), with_extra=with_extra)


def _levels(study: StudyFile, factor: str) -> tuple[Value, ...]:
    """The values that a factor can take; of an interval its upper end."""
    domain = study.space.free.get(factor)
    if domain is None:
        return (study.space.fixed[factor],)
    return domain.levels or (getattr(domain, "high", None),)
