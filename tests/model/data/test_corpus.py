"""The corpus: tokens of each different sentence once, and what a task is trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from model.data.corpus import DEV, EXTRA, TRAIN, Corpus, Split, build_corpus, jaccard
from model.data.examples import Dataset, Example
from spaces import UserError

CLS, SEP = 2, 3


@dataclass
class Counting:
    """A tokenizer that keeps what it was given."""

    tokenizer: Tokenizer
    seen: list[str] = field(default_factory=list)

    def encode_batch(self, texts: list[str]) -> Any:
        self.seen += texts
        return self.tokenizer.encode_batch(texts)

    def num_special_tokens_to_add(self, is_pair: bool) -> int:
        return self.tokenizer.num_special_tokens_to_add(is_pair)


def sentences_of(dataset: Dataset) -> list[str]:
    parts = [part for by_split in dataset.splits.values() for part in by_split.values()]
    return [
        text
        for part in [*parts, *dataset.extra.values()]
        for example in part
        for text in (example.first, example.second)
        if text is not None
    ]


def pairs(*examples: tuple[str, str]) -> Dataset:
    made = tuple(Example(first, second, 1.0) for first, second in examples)
    return Dataset({"para": {TRAIN: made, DEV: made[:1]}})


def test_each_different_sentence_is_tokenised_once(dataset: Dataset, tokenizer: Tokenizer) -> None:
    counting = Counting(tokenizer)
    corpus = build_corpus(dataset, counting)  # type: ignore[arg-type]
    assert sorted(counting.seen) == sorted(set(sentences_of(dataset)))
    assert len(corpus.offsets) == len(counting.seen) + 1


def test_a_repeated_sentence_has_one_number(tokenizer: Tokenizer) -> None:
    corpus = build_corpus(pairs(("a film", "a film"), ("the film", "a film")), tokenizer)
    split = corpus.splits["para"][TRAIN]
    assert split.second is not None
    assert split.first.tolist() == [0, 1]
    assert split.second.tolist() == [0, 0]
    assert len(corpus.offsets) == 3


def test_examples_find_their_sentences_and_labels(
    dataset: Dataset, corpus: Corpus, tokenizer: Tokenizer
) -> None:
    for task, by_split in dataset.splits.items():
        for name, examples in by_split.items():
            split = corpus.splits[task][name]
            assert split.labels.tolist() == [pytest.approx(e.label) for e in examples]
            for row in (0, 7, len(examples) - 1):
                texts = [examples[row].first, examples[row].second]
                numbers = [split.first, split.second]
                for text, column in zip(texts, numbers, strict=True):
                    assert (text is None) == (column is None)
                    if text is not None and column is not None:
                        tokens = corpus.sentence(int(column[row]), 128)
                        assert tokens.tolist() == tokenizer.encode(text).ids


def test_sentences_of_pairs_come_first_ones_first() -> None:
    columns = np.array([1, 2]), np.array([3, 4])
    split = Split(*columns, np.zeros(2), np.zeros(2))
    assert split.sentences().tolist() == [1, 2, 3, 4]
    assert split.rows(np.array([1])).sentences().tolist() == [2, 4]


@given(st.integers(4, 40))
def test_truncation_keeps_cls_and_the_final_sep(corpus: Corpus, max_length: int) -> None:
    lengths = np.diff(corpus.offsets)
    for number in (int(lengths.argmax()), int(lengths.argmin())):
        whole = corpus.sentence(number, 10_000)
        cut = corpus.sentence(number, max_length)
        assert len(cut) == min(len(whole), max_length)
        assert (cut[0], cut[-1]) == (CLS, SEP)
        assert np.array_equal(cut[:-1], whole[: len(cut) - 1])


def test_jaccard_is_common_tokens_over_all_different_ones(tokenizer: Tokenizer) -> None:
    # a film is / film is the: film and is, of a, film, is and the.
    dataset = pairs(("a film is", "film is the"), ("the the film", "film the"), ("a", "the"))
    split = build_corpus(dataset, tokenizer).splits["para"][TRAIN]
    assert split.jaccard.tolist() == [0.5, 1.0, 0.0]
    assert split.jaccard.dtype == np.float32


def test_jaccard_of_nothing_is_zero() -> None:
    assert jaccard(frozenset(), frozenset()) == 0


def test_single_sentences_have_no_overlap(corpus: Corpus) -> None:
    assert not corpus.splits["sst"][TRAIN].jaccard.any()


def test_extra_examples_are_trained_on_where_asked_for(corpus: Corpus) -> None:
    assert corpus.has_extra
    for task, splits in corpus.splits.items():
        assert corpus.training(task, False) is splits[TRAIN]
        joined = corpus.training(task, True)
        if task == "para":
            assert joined is splits[TRAIN]
            continue
        for name in ("first", "second", "labels", "jaccard"):
            parts = [getattr(splits[TRAIN], name), getattr(splits[EXTRA], name)]
            if parts[0] is None:
                assert getattr(joined, name) is None
            else:
                assert np.array_equal(getattr(joined, name), np.concatenate(parts))


def test_extra_examples_change_nothing_else(
    dataset: Dataset, corpus: Corpus, tokenizer: Tokenizer
) -> None:
    without = build_corpus(Dataset(dataset.splits), tokenizer)
    assert not without.has_extra
    for task, splits in without.splits.items():
        for name in (TRAIN, DEV):
            ours, theirs = splits[name], corpus.splits[task][name]
            assert np.array_equal(ours.labels, theirs.labels)
            assert np.array_equal(ours.jaccard, theirs.jaccard)
            numbers = zip(ours.sentences(), theirs.sentences(), strict=True)
            for a, b in numbers:
                assert np.array_equal(without.sentence(a, 99), corpus.sentence(b, 99))


def test_no_dev_sentence_is_trained_on(corpus: Corpus) -> None:
    for task, splits in corpus.splits.items():
        trained = set(corpus.training(task, True).sentences().tolist())
        assert not trained & set(splits[DEV].sentences().tolist())


def test_a_sentence_that_the_tokenizer_cannot_take_is_told() -> None:
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.model = models.WordLevel({"good": 0})
    dataset = Dataset({"sst": {"train": (Example("good", None, 1), Example("bad", None, 0))}})
    with pytest.raises(UserError, match=r"^The encoder's tokenizer cannot take the sentences \(.*"):
        build_corpus(dataset, tokenizer)
