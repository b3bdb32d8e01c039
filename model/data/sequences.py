"""What the encoder reads as one sequence: a sentence, or a pair of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from model.data.corpus import Corpus, Split
from model.layers.packing import Packed, pack, pack_pairs
from spaces import Config

_NO_SECOND = np.empty(0, dtype=np.int32)


@dataclass(frozen=True)
class Sequences:
    """The different sequences of a corpus, numbered from 0: its sentences, or, where pairs are
    encoded jointly, the different single sentences and pairs of its examples."""

    corpus: Corpus
    max_length: int
    """The most tokens that a sequence has; longer ones are cut."""
    joint: bool = False

    @classmethod
    def of(cls, config: Config, corpus: Corpus) -> Sequences:
        return cls(corpus, config.max_length, config.pair_encoding == "joint")

    def __len__(self) -> int:
        return len(self.corpus.inputs) if self.joint else len(self.corpus.offsets) - 1

    def numbers(self, split: Split) -> np.ndarray:
        """The sequences of a split's examples: one of each, or the sentences of all, the first
        ones before the second ones."""
        return self.corpus.input_numbers(split) if self.joint else split.sentences()

    def lengths(self, numbers: np.ndarray) -> np.ndarray:
        """int64 (sequences,), in tokens."""
        lengths = np.diff(self.corpus.offsets)
        if self.joint:
            first, second = self.corpus.input_sentences(numbers)
            added = lengths[second] + self.corpus.separators - 2  # one [CLS] and its own [SEP]s
            whole = lengths[first] + np.where(second < 0, 0, added)
        else:
            whole = lengths[numbers]
        cut: np.ndarray = np.minimum(whole, self.max_length)
        return cut

    def pack(
        self, numbers: np.ndarray, device: torch.device, filling: Sequence[np.ndarray] = ()
    ) -> Packed:
        """The sequences `numbers`, and after them those in `filling`, as one batch on the device.

        A pair is [CLS] a [SEP] of token type 0 and b [SEP] of type 1 (Devlin et al. 2019, 3),
        with as many [SEP] between them as the tokenizer puts there.
        """
        if self.joint:
            both = zip(*self.corpus.input_sentences(numbers), strict=True)
            pairs = [self._pair(int(first), int(second)) for first, second in both]
            packed = pack_pairs([*pairs, *((tokens, _NO_SECOND) for tokens in filling)])
        else:
            sentences = [self.corpus.sentence(int(n), self.max_length) for n in numbers]
            packed = pack([*sentences, *filling])
        return packed.pin_memory().to(device, non_blocking=True)

    def _pair(self, first: int, second: int) -> tuple[np.ndarray, np.ndarray]:
        corpus = self.corpus
        if second < 0:
            return corpus.sentence(first, self.max_length), _NO_SECOND
        most = self.max_length - 2 - corpus.separators
        kept = longest_first(self._words(first), self._words(second), most)
        a, b = (corpus.sentence(n, k + 2) for n, k in zip((first, second), kept, strict=True))
        return np.append(a, a[-1:].repeat(corpus.separators - 1)), b[1:]

    def _words(self, sentence: int) -> int:
        """The tokens of a sentence without [CLS] and [SEP]."""
        return int(self.corpus.offsets[sentence + 1] - self.corpus.offsets[sentence]) - 2


def longest_first(first: int, second: int, most: int) -> tuple[int, int]:
    """How many tokens two sentences keep so that both together have at most `most`.

    The longer one is cut to what the shorter one leaves, but not below it; then both to the half,
    of which the longer one, or the second of two equal ones, has the odd token: "longest_first" of
    the tokenizers library and so of transformers.
    """
    if first + second <= most:
        return first, second
    if first > second:
        return longest_first(second, first, most)[::-1]
    first = min(first, most // 2)
    return first, most - first
