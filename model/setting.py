"""What decides a trial's numbers beside its configuration, by content.

Data and encoder are known by what is in them, not by where they lie: a folder may be moved, and a
file in it may change. A file that was written anew with the same examples is the same data.
"""

from __future__ import annotations

import hashlib
import json
import platform
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from model.data.corpus import Corpus, Split
from model.data.readers import EXTRA as EXTRA_FILES
from model.data.readers import SPLITS
from model.encoder.packed_encoder import EncoderSize
from model.material import Material
from model.storage.code_hash import code_hash
from spaces import EMBEDDED, StudyFile, UserError

_SENTENCES_AT_ONCE = 1 << 16
_MADE = ("train", "dev", "seed")  # the keys of [data] that embedded data depend on
_LIBRARIES = ("torch", "transformers", "tokenizers", "numpy")
# Of an encoder's configuration, what decides nothing here: dropout is a factor of ours.
_SAYS_NOTHING = (
    "_name_or_path",
    "_attn_implementation",
    "architectures",
    "dtype",
    "id2label",
    "label2id",
    "torch_dtype",
    "transformers_version",
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """One split of one task's data."""

    name: str
    """The file's, without its folder; "embedded" for data that are made."""
    file: str
    """The hash of the file; empty for data that are made."""
    examples: str
    """The hash of all that a trial gets to see of it: tokens, labels, overlaps."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """`encoder_name` and `data_path` are what the user called them, to be told and not compared."""

    data_path: str
    encoder_name: str
    made: Mapping[str, int]
    """How many data were made, and from which seed; empty where they were read."""
    sources: Mapping[str, Source]
    """By "TASK/SPLIT"."""
    weights: str
    """The hash of the encoder's."""
    shape: Mapping[str, Any]
    """The encoder's configuration, as plain values."""
    tokenizer: str
    """Its hash."""
    precision: str
    """fp32 or bf16."""
    surroundings: Mapping[str, str]
    """What may change a number in its last digits, or should change nothing: libraries, program,
    processes, devices. A difference is told, and nothing follows from it."""

    @classmethod
    def of(cls, study: StudyFile, material: Material, precision: str) -> Setting:
        """Of a study with its data and encoder, whose trials compute in a precision."""
        corpus, encoder = material.corpus, material.encoder
        return cls(
            data_path=study.data.path,
            encoder_name=study.encoder.name,
            made=(
                {n: getattr(study.data, n) for n in _MADE} if study.data.path == EMBEDDED else {}
            ),
            sources={
                f"{task}/{name}": Source(
                    name=_file_name(study, task, name),
                    file=material.files.get(_file_name(study, task, name), ""),
                    examples=_examples(corpus, split),
                )
                for task, by_split in corpus.splits.items()
                for name, split in by_split.items()
            },
            weights=_weights(encoder.weights),
            shape=_plain_shape(encoder.shape),
            tokenizer=material.tokenizer,
            precision=precision,
            surroundings={
                **{library: version(library) for library in _LIBRARIES},
                "Python": platform.python_version(),
                "ablatune's code": code_hash(),
                "processes of a trial": str(study.resources.processes),
            },
        )

    def computed_in(self, precision: str, device: str) -> Setting:
        """The same in a precision on a kind of device."""
        return replace(
            self, precision=precision, surroundings={**self.surroundings, "device": device}
        )

    @classmethod
    def read(cls, table: Mapping[str, Any], where: Path) -> Setting:
        """What `table` wrote. Raises UserError where it is something else."""
        try:
            data, encoder = table["data"], table["encoder"]
            return cls(
                data_path=data["path"],
                encoder_name=encoder["name"],
                made=data["made"],
                sources={name: Source(**source) for name, source in data["sources"].items()},
                weights=encoder["weights"],
                shape=json.loads(encoder["shape"]),
                tokenizer=encoder["tokenizer"],
                precision=table["precision"],
                surroundings=table["surroundings"],
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{where} does not say what it was begun with ({type(error).__name__}: {error}). "
                "Where data, encoder and precision are still the same, remove that file, and the "
                "same command goes on."
            ) from None

    @classmethod
    def from_file(cls, file: Path) -> Setting | None:
        """What is kept in a TOML file, None where there is none. Raises UserError."""
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):  # as a file that says nothing
            table = {}
        return cls.read(table, file)

    def table(self) -> dict[str, Any]:
        """For a TOML file."""
        return {
            "precision": self.precision,
            "data": {
                "path": self.data_path,
                "made": dict(self.made),
                "sources": {name: asdict(source) for name, source in self.sources.items()},
            },
            "encoder": {
                "name": self.encoder_name,
                "weights": self.weights,
                "tokenizer": self.tokenizer,
                "shape": json.dumps(self.shape, sort_keys=True),
            },
            "surroundings": dict(self.surroundings),
        }

    def changes_of_data(self, now: Setting) -> list[str]:
        """What of the data that both have is another now, in clauses."""
        if EMBEDDED in (self.data_path, now.data_path) and self.data_path != now.data_path:
            return [f"data.path was {self.data_path} and is {now.data_path}"]
        if self.made != now.made:
            return [
                f"data.{name} was {before} and is {now.made[name]}"
                for name, before in self.made.items()
                if before != now.made[name]
            ]
        both = {n: (self.sources[n], now.sources[n]) for n in self.sources if n in now.sources}
        changed = {n: pair for n, pair in both.items() if pair[0].examples != pair[1].examples}
        clauses = [f"{b.name} has changed" for a, b in changed.values() if a.file != b.file]
        if clauses or not changed or self.tokenizer != now.tokenizer:
            return clauses
        if self.made:
            return [f"this version of ablatune makes other data ({', '.join(sorted(changed))})"]
        return [
            f"this version of ablatune reads other examples in {b.name}"
            for _, b in changed.values()
        ]

    def changes_of_encoder(self, now: Setting) -> list[str]:
        """What of the encoder is another now, in clauses."""
        clauses = []
        if self.weights != now.weights:
            clauses.append("the encoder's weights have changed")
        clauses += [
            f"the encoder's {key} was {json.dumps(self.shape[key])} and is "
            f"{json.dumps(now.shape[key])}"
            for key in self.shape
            if key in now.shape and self.shape[key] != now.shape[key]
        ]
        # How it is written down may differ from version to version of its library.
        if self.tokenizer != now.tokenizer and any(
            self.sources[name].examples != now.sources[name].examples
            for name in self.sources
            if name in now.sources
        ):
            clauses.append("the encoder's tokenizer has changed")
        return clauses

    def changes(self, now: Setting) -> list[str]:
        """All that has changed and decides what a score means, in clauses."""
        clauses = [*self.changes_of_data(now), *self.changes_of_encoder(now)]
        if self.precision != now.precision:
            clauses.append(f"the precision was {self.precision} and is {now.precision}")
        return clauses

    def notes(self, now: Setting) -> list[str]:
        """What has changed in the surroundings, in clauses."""
        clauses = []
        for name, before in self.surroundings.items():
            after = now.surroundings.get(name)
            if after is None or after == before:
                continue
            hashed = name == "ablatune's code"
            clauses.append(f"{name} is another" if hashed else f"{name}: {before}, now {after}")
        return clauses


def _file_name(study: StudyFile, task: str, split: str) -> str:
    if study.data.path == EMBEDDED:
        return EMBEDDED
    if split == "extra":
        return EXTRA_FILES[task][0]
    return SPLITS[task][0].format(split)


def _examples(corpus: Corpus, split: Split) -> str:
    """In pieces: the tokens of all sentences at once could take gigabytes."""
    digest = hashlib.sha256()
    digest.update(repr((split.second is None, corpus.separators, len(split))).encode())
    for array in (split.labels, split.jaccard):
        digest.update(np.ascontiguousarray(array).data)
    for lengths, tokens in _sentences(corpus, split.sentences()):
        digest.update(lengths.data)
        digest.update(tokens.data)
    return digest.hexdigest()


def _sentences(corpus: Corpus, numbers: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The lengths and the tokens of sentences, one after the other."""
    for first in range(0, len(numbers), _SENTENCES_AT_ONCE):
        some = numbers[first : first + _SENTENCES_AT_ONCE]
        starts = corpus.offsets[some]
        lengths = corpus.offsets[some + 1] - starts
        before = np.cumsum(lengths) - lengths
        places = np.repeat(starts - before, lengths) + np.arange(lengths.sum())
        yield lengths, corpus.tokens[places]


def _weights(weights: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = weights[name]
        digest.update(repr((name, array.shape, str(array.dtype))).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _plain_shape(shape: EncoderSize) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(asdict(shape)))
    plain |= plain.pop("config", {})  # of transformers' encoders
    return {
        name: value
        for name, value in plain.items()
        if name not in _SAYS_NOTHING and "dropout" not in name
    }
