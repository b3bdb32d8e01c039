"""Packing keeps every token; the groups hold every sentence once, in few shapes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.layers.packing import Packed, pack, pack_pairs

LENGTHS = st.lists(st.integers(1, 80), min_size=1, max_size=60).map(
    lambda lengths: np.array(lengths, dtype=np.int64)
)


def numbered(lengths: np.ndarray) -> list[np.ndarray]:
    """Sentences of which every token is another number, from 1."""
    return np.split(np.arange(1, lengths.sum() + 1), np.cumsum(lengths)[:-1])


@settings(deadline=None)
@given(LENGTHS)
def test_packing_keeps_the_sentences_in_order(lengths: np.ndarray) -> None:
    sentences = numbered(lengths)
    packed = pack([sentence.astype(np.int32) for sentence in sentences])
    assert packed.tokens.dtype == torch.int64
    assert packed.lengths.dtype == np.int64
    pieces = packed.tokens.split(packed.lengths.tolist())
    assert [piece.tolist() for piece in pieces] == [list(sentence) for sentence in sentences]


@pytest.mark.parametrize("pairs", [False, True])
def test_a_batch_is_split_as_a_tensor_is(pairs: bool) -> None:
    sentences = numbered(np.array([3, 1, 2, 4]))
    packed = pack_pairs([(s[:1], s[1:]) for s in sentences]) if pairs else pack(sentences)
    parts = packed.split([1, 3])
    assert [part.tokens.tolist() for part in parts] == [[1, 2, 3], [4, 5, 6, 7, 8, 9, 10]]
    assert [part.lengths.tolist() for part in parts] == [[3], [1, 2, 4]]
    types = [None if part.token_types is None else part.token_types.tolist() for part in parts]
    assert types == ([[0, 1, 1], [0, 0, 1, 0, 1, 1, 1]] if pairs else [None, None])


@settings(deadline=None)
@given(LENGTHS)
def test_groups_hold_each_sentence_once_and_lead_back(lengths: np.ndarray) -> None:
    packed = pack(numbered(lengths))
    grouped = packed.grouped
    assert len(grouped.source) == sum(group.tokens for group in grouped.groups)
    assert torch.equal(packed.tokens[grouped.source][grouped.destination], packed.tokens)

    sentences = [tuple(sentence) for sentence in numbered(lengths)]
    found = []
    pieces = packed.tokens[grouped.source].split([group.tokens for group in grouped.groups])
    for group, mask, piece in zip(grouped.groups, grouped.masks, pieces, strict=True):
        assert mask.shape == (group.count, 1, 1, group.longest)
        rows = zip(piece.view(group.count, -1).tolist(), mask.flatten(1).tolist(), strict=True)
        for row, seen in rows:
            length = seen.count(0.0)
            assert seen == [0.0] * length + [-np.inf] * (group.longest - length)
            if set(row) != {1}:  # not an empty one, which repeats the first token
                assert set(row[length:]) <= {1}
                assert group.longest - length < 8
                found.append(tuple(row[:length]))
    whole = [sentence for sentence in sentences if sentence != (1,)]
    assert sorted(sentence for sentence in found if sentence != (1,)) == sorted(whole)


def test_few_shapes_of_groups_serve_many_updates() -> None:
    draw = np.random.default_rng(0)
    shapes = set()
    for _ in range(20):
        lengths = np.clip(draw.lognormal(2.8, 0.45, 160), 4, 60).astype(np.int64)
        grouped = pack([np.ones(length, dtype=np.int64) for length in lengths]).grouped
        assert len(grouped.groups) <= 8
        shapes |= {(group.count, group.longest) for group in grouped.groups}
    assert len(shapes) < 40


@settings(deadline=None)
@given(LENGTHS)
def test_flat_layout_bounds_the_sentences(lengths: np.ndarray) -> None:
    packed = pack(numbered(lengths))
    flat = packed.flat
    places = [place for length in lengths for place in range(length)]
    assert packed.positions.tolist() == places
    assert flat.starts.dtype == torch.int32
    assert flat.starts.tolist() == [0, *np.cumsum(lengths)]
    assert flat.longest == lengths.max()


def test_groups_are_computed_once_and_lie_beside_the_tokens() -> None:
    packed = pack([np.arange(3), np.arange(5)])
    assert packed.grouped is packed.grouped
    assert packed.to("cpu") is packed
    moved = packed.to("meta")
    assert moved.tokens.device.type == moved.grouped.source.device.type == "meta"
    assert isinstance(moved.lengths, np.ndarray)


def test_layout_made_during_inference_serves_training() -> None:
    packed = pack([np.arange(3), np.arange(5)])
    with torch.inference_mode():
        source = packed.grouped.source
    assert not source.is_inference()


def test_pinned_sentences_are_the_same() -> None:
    packed = pack([np.arange(3), np.arange(5)])
    pinned: Packed = packed.pin_memory()
    assert torch.equal(pinned.tokens, packed.tokens)
    assert pinned.lengths is packed.lengths


def test_pairs_are_sentences_whose_second_part_is_of_type_one() -> None:
    packed = pack_pairs([(np.array([5, 6]), np.array([7])), (np.array([8]), np.array([], int))])
    assert packed.tokens.tolist() == [5, 6, 7, 8]
    assert packed.lengths.tolist() == [3, 1]
    assert packed.token_types is not None
    assert packed.token_types.tolist() == [0, 0, 1, 0]
    moved = packed.to("meta").token_types
    assert moved is not None
    assert moved.device.type == "meta"
    assert pack_pairs([(np.array([8]), np.array([], int))]).token_types is None


@pytest.mark.parametrize("sentences", [[], [np.arange(2), np.arange(0)]])
def test_nothing_to_pack_is_refused(sentences: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        pack(sentences)
