"""The corpus: all examples as token numbers, in a few numpy arrays.

Plain arrays go through Ray's object store without a copy, so that all trials of a node share one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from tokenizers import Tokenizer

from model.data.examples import Dataset, Example
from spaces.library_failures import failures_told

TRAIN, EXTRA, DEV = "train", "extra", "dev"


@dataclass(frozen=True)
class Split:
    """Examples of one task; sentences are named by their number in the corpus.

    `first`, `second`: int32 (examples,), `second` is None for single sentences. `labels`:
    float32 (examples,). `jaccard`: float32 (examples,), zeros for single sentences.
    """

    first: np.ndarray
    second: np.ndarray | None
    labels: np.ndarray
    jaccard: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, chosen: np.ndarray) -> Split:
        second = None if self.second is None else self.second[chosen]
        return Split(self.first[chosen], second, self.labels[chosen], self.jaccard[chosen])

    def sentences(self) -> np.ndarray:
        """The sentences of all examples, the first ones before the second ones."""
        return self.first if self.second is None else np.concatenate([self.first, self.second])


@dataclass(frozen=True)
class Corpus:
    """`tokens`: int32 (tokens,) of all different sentences, [CLS] and [SEP] included; sentence i
    is `tokens[offsets[i]:offsets[i + 1]]`. `splits[task][split]`, with splits train, dev and,
    where a task has any, extra.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    splits: Mapping[str, Mapping[str, Split]]
    separators: int = 1
    """How many [SEP] the tokenizer puts between the sentences of a pair: BERT's 1, RoBERTa's 2."""

    def sentence(self, number: int, max_length: int) -> np.ndarray:
        """int32 (length,), cut to `max_length` tokens with the closing [SEP] kept."""
        tokens = self.tokens[self.offsets[number] : self.offsets[number + 1]]
        if len(tokens) <= max_length:
            return tokens
        return np.append(tokens[: max_length - 1], tokens[-1])

    def training(self, task: str, extra_data: bool) -> Split:
        """The examples that a task is trained on. Extra examples enter here and nowhere else."""
        splits = self.splits[task]
        if not extra_data or EXTRA not in splits:
            return splits[TRAIN]
        return _joined(splits[TRAIN], splits[EXTRA])

    @cached_property
    def inputs(self) -> np.ndarray:
        """int64 (inputs,): the different inputs of all examples, single sentences and pairs, each
        as one number, in order."""
        splits = [split for by_split in self.splits.values() for split in by_split.values()]
        return np.unique(np.concatenate([self._codes(split) for split in splits]))

    def input_numbers(self, split: Split) -> np.ndarray:
        """int64 (examples,): the place of each example's input in `inputs`."""
        return np.searchsorted(self.inputs, self._codes(split))

    def input_sentences(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The sentences of the inputs at these places, each int64 (inputs,); the second one of a
        single sentence is -1."""
        first, second = np.divmod(self.inputs[numbers], len(self.offsets))
        return first, second - 1

    def _codes(self, split: Split) -> np.ndarray:
        second = -1 if split.second is None else split.second.astype(np.int64)
        return split.first.astype(np.int64) * len(self.offsets) + second + 1

    @property
    def has_extra(self) -> bool:
        return any(EXTRA in splits for splits in self.splits.values())


def build_corpus(dataset: Dataset, tokenizer: Tokenizer) -> Corpus:
    """Tokenise a data set, each different sentence once. Raises UserError where that fails."""
    numbers: dict[str, int] = {}
    for example in _all_examples(dataset):
        for text in (example.first, example.second):
            if text is not None:
                numbers.setdefault(text, len(numbers))
    with failures_told(lambda why: f"The encoder's tokenizer cannot take the sentences ({why})."):
        encoded = [encoding.ids for encoding in tokenizer.encode_batch(list(numbers))]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(ids) for ids in encoded], out=offsets[1:])
    tokens = np.fromiter((i for ids in encoded for i in ids), dtype=np.int32, count=offsets[-1])
    content = [frozenset(ids[1:-1]) for ids in encoded]

    def split(examples: Sequence[Example]) -> Split:
        first = np.array([numbers[e.first] for e in examples], dtype=np.int32)
        labels = np.array([e.label for e in examples], dtype=np.float32)
        if not examples or examples[0].second is None:
            return Split(first, None, labels, np.zeros(len(labels), dtype=np.float32))
        second = np.array([numbers[e.second or ""] for e in examples], dtype=np.int32)
        pairs = zip(first, second, strict=True)
        overlap = [jaccard(content[a], content[b]) for a, b in pairs]
        return Split(first, second, labels, np.array(overlap, dtype=np.float32))

    splits = {
        task: {name: split(examples) for name, examples in by_split.items()}
        for task, by_split in dataset.splits.items()
    }
    for task, examples in dataset.extra.items():
        splits[task][EXTRA] = split(examples)
    return Corpus(tokens, offsets, splits, tokenizer.num_special_tokens_to_add(is_pair=True) - 2)


def jaccard(first: frozenset[int], second: frozenset[int]) -> float:
    """Common tokens over all different tokens of two sentences (report, 4.2.2); 0 for none."""
    union = len(first | second)
    return len(first & second) / union if union else 0.0


def _all_examples(dataset: Dataset) -> Iterable[Example]:
    for by_split in dataset.splits.values():
        for examples in by_split.values():
            yield from examples
    for examples in dataset.extra.values():
        yield from examples


def _joined(a: Split, b: Split) -> Split:
    second = None if a.second is None or b.second is None else np.concatenate([a.second, b.second])
    return Split(
        np.concatenate([a.first, b.first]),
        second,
        np.concatenate([a.labels, b.labels]),
        np.concatenate([a.jaccard, b.jaccard]),
    )
