"""Sentences and joint pairs as the tokenizer and transformers have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.processors import RobertaProcessing
from torch import Tensor
from transformers import BertModel

from model.data.batches import epoch_batches
from model.data.corpus import DEV, TRAIN, Corpus, Split, build_corpus
from model.data.examples import Dataset
from model.data.sequences import Sequences, longest_first
from model.encoder.pretrained import Pretrained
from model.layers.packing import Packed
from model.network.network import build_network
from model.tasks.shipped import ALL_TASKS
from spaces import Config

CPU = torch.device("cpu")
CLS, SEP = 2, 3


def parts_of(packed: Packed) -> list[tuple[list[int], list[int]]]:
    """Each sequence's tokens and their types."""
    types = torch.zeros_like(packed.tokens) if packed.token_types is None else packed.token_types
    lengths = packed.lengths.tolist()
    pairs = zip(packed.tokens.split(lengths), types.split(lengths), strict=True)
    return [(tokens.tolist(), kinds.tolist()) for tokens, kinds in pairs]


def test_a_pair_by_hand() -> None:
    """a is 11 12, b is 13 14 15; pairs a b and b a, and b alone."""
    tokens = np.array([CLS, 11, 12, SEP, CLS, 13, 14, 15, SEP], dtype=np.int32)
    column, zeros = np.array([0, 1, 0], dtype=np.int32), np.zeros(3, dtype=np.float32)
    pairs = Split(column, 1 - column, zeros, zeros)
    single = Split(np.array([1], dtype=np.int32), None, zeros[:1], zeros[:1])
    corpus = Corpus(tokens, np.array([0, 4, 9]), {"para": {TRAIN: pairs}, "sst": {DEV: single}})

    sequences = Sequences(corpus, 99, joint=True)
    assert len(sequences) == 3
    numbers = np.concatenate([sequences.numbers(pairs), sequences.numbers(single)])
    assert sequences.lengths(numbers).tolist() == [8, 8, 8, 5]
    whole = [
        ([CLS, 11, 12, SEP, 13, 14, 15, SEP], [0, 0, 0, 0, 1, 1, 1, 1]),
        ([CLS, 13, 14, 15, SEP, 11, 12, SEP], [0, 0, 0, 0, 0, 1, 1, 1]),
        ([CLS, 11, 12, SEP, 13, 14, 15, SEP], [0, 0, 0, 0, 1, 1, 1, 1]),
        ([CLS, 13, 14, 15, SEP], [0, 0, 0, 0, 0]),
    ]
    assert parts_of(sequences.pack(numbers, CPU)) == whole

    cut = Sequences(corpus, 6, joint=True)
    assert cut.lengths(numbers).tolist() == [6, 6, 6, 5]
    assert parts_of(cut.pack(numbers[:2], CPU)) == [
        ([CLS, 11, SEP, 13, 14, SEP], [0, 0, 0, 1, 1, 1]),
        ([CLS, 13, 14, SEP, 11, SEP], [0, 0, 0, 0, 1, 1]),
    ]

    separate = Sequences(corpus, 99)
    assert len(separate) == 2
    assert separate.numbers(pairs).tolist() == [0, 1, 0, 1, 0, 1]
    assert separate.pack(separate.numbers(pairs), CPU).token_types is None


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 60))
def test_the_longer_sentence_is_cut_first(first: int, second: int, most: int) -> None:
    a, b = longest_first(first, second, most)
    assert a + b == min(first + second, most)
    assert 0 <= a <= first
    assert 0 <= b <= second
    if a < first:
        assert a >= b - 1
    if b < second:
        assert b >= a - 1


@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize("max_length", [6, 9, 10, 13, 99])
def test_joint_pairs_are_the_tokenizers_token_by_token(
    family: str, max_length: int, dataset: Dataset, tokenizer: Tokenizer
) -> None:
    """Cut and in its special tokens too, with the tokenizer that transformers would use."""
    theirs = Tokenizer.from_str(tokenizer.to_str())
    if family == "roberta":
        theirs.post_processor = RobertaProcessing(("[SEP]", SEP), ("[CLS]", CLS))
    corpus = build_corpus(dataset, theirs)
    theirs.enable_truncation(max_length, strategy="longest_first")
    sequences = Sequences(corpus, max_length, joint=True)
    for task in ("sst", "para", "sts"):
        examples = dataset.splits[task][DEV]
        numbers = sequences.numbers(corpus.splits[task][DEV])
        found = parts_of(sequences.pack(numbers, CPU))
        assert sequences.lengths(numbers).tolist() == [len(tokens) for tokens, _ in found]
        for example, (tokens, types) in zip(examples, found, strict=True):
            encoding = theirs.encode(example.first, example.second)
            assert tokens == encoding.ids
            if family == "bert":
                assert types == encoding.type_ids


def test_each_different_sequence_has_one_number(corpus: Corpus) -> None:
    sequences = Sequences(corpus, 99, joint=True)
    every = [split for splits in corpus.splits.values() for split in splits.values()]
    numbers = np.concatenate([sequences.numbers(split) for split in every])
    assert sorted(set(numbers.tolist())) == list(range(len(sequences)))
    found = [str(parts) for parts in parts_of(sequences.pack(np.arange(len(sequences)), CPU))]
    assert len(set(found)) == len(sequences)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_joint_embeddings_equal_transformers_on_a_padded_batch(
    pooling: str, corpus: Corpus, pretrained: Pretrained, encoder_folder: Path, tiny: Config
) -> None:
    config = tiny.replace(pair_encoding="joint", pooling=pooling, max_length=12)
    network = build_network(config, ALL_TASKS, pretrained).eval()
    theirs: Any = BertModel.from_pretrained(encoder_folder, add_pooling_layer=False).eval()
    batch = next(epoch_batches(config, ALL_TASKS, corpus, 1, CPU))
    assert isinstance(batch.sentences, Packed)
    rows = parts_of(batch.sentences)
    assert len(rows) == 3 * config.batch_size

    def padded(part: int) -> Tensor:
        columns = [torch.tensor(row[part]) for row in rows]
        return torch.nn.utils.rnn.pad_sequence(columns, batch_first=True)

    mask = (torch.arange(12) < torch.tensor([[len(tokens)] for tokens, _ in rows])).long()
    with torch.no_grad():
        states = theirs(
            padded(0), attention_mask=mask, token_type_ids=padded(1)
        ).last_hidden_state  # (sequences, 12, hidden)
        real = mask.unsqueeze(2)
        expected = (states * real).sum(1) / real.sum(1) if pooling == "mean" else states[:, 0]
        torch.testing.assert_close(network.embed(batch.sentences), expected, rtol=0, atol=1e-5)
        outputs = network(batch)
    assert {name: len(output) for name, output in outputs.items()} == dict.fromkeys(
        ("sst", "para", "sts"), config.batch_size
    )
