"""Packing keeps every token; the plan covers every sentence and never costs more than one group."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.packing import Group, Packed, cost, pack, plan

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


@settings(deadline=None)
@given(LENGTHS)
def test_grouped_layout_holds_each_sentence_once_and_leads_back(lengths: np.ndarray) -> None:
    packed = pack(numbered(lengths))
    made = packed.plan
    assert sorted(made.order) == list(range(len(lengths)))
    assert sum(group.count for group in made.groups) == len(lengths)
    assert len(made.source) == sum(group.tokens for group in made.groups)
    assert torch.equal(packed.tokens[made.source][made.destination], packed.tokens)

    tokens = packed.tokens.numpy()
    starts = np.cumsum(lengths) - lengths
    order = iter(made.order)
    place = 0
    for group, mask in zip(made.groups, packed.grouped.masks, strict=True):
        seen = []
        for row in range(group.count):
            number = next(order)
            length = int(lengths[number])
            assert length <= group.longest
            here = slice(place, place + length)
            sentence = tokens[starts[number] : starts[number] + length]
            assert np.array_equal(tokens[made.source[here]], sentence)
            assert np.array_equal(made.positions[here], np.arange(length))
            if mask is not None:
                expected = [0.0] * length + [-np.inf] * (group.longest - length)
                assert mask[row, 0, 0].tolist() == expected
            seen.append(length)
            place += group.longest
        assert group.ragged == (mask is not None) == (min(seen) < group.longest)
        assert max(seen) == group.longest


@settings(deadline=None)
@given(LENGTHS)
def test_plan_costs_no_more_than_one_group_or_one_group_a_length(lengths: np.ndarray) -> None:
    made = plan(lengths)
    whole = Group(count=len(lengths), longest=int(lengths.max()), ragged=True)
    unique, counts = np.unique(lengths, return_counts=True)
    each = [Group(int(n), int(length), False) for length, n in zip(unique, counts, strict=True)]
    assert cost(made.groups) <= cost([whole]) + 1e-6
    assert cost(made.groups) <= cost(each) + 1e-6


def test_plan_separates_long_from_short() -> None:
    lengths = np.array([60, 5, 5, 60, 6] * 5)
    groups = plan(lengths).groups
    assert [(group.count, group.longest) for group in groups] == [(15, 6), (10, 60)]


def test_plan_of_a_usual_update_pads_little() -> None:
    lengths = np.clip(np.random.default_rng(0).lognormal(2.8, 0.45, 160), 4, 60).astype(np.int64)
    made = plan(lengths)
    assert len(made.groups) < 20
    assert len(made.source) < 1.1 * lengths.sum()


@settings(deadline=None)
@given(LENGTHS)
def test_flat_layout_bounds_the_sentences(lengths: np.ndarray) -> None:
    flat = pack(numbered(lengths)).flat
    assert flat.starts.dtype == torch.int32
    assert flat.starts.tolist() == [0, *np.cumsum(lengths)]
    assert flat.positions.tolist() == [place for length in lengths for place in range(length)]
    assert flat.longest == lengths.max()


def test_layouts_are_computed_once_and_move_with_the_tokens() -> None:
    packed = pack([np.arange(3), np.arange(5)])
    assert packed.grouped is packed.grouped
    assert packed.to("cpu") is packed
    made = packed.plan
    moved = packed.to("meta")
    assert moved.plan is made
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


@pytest.mark.parametrize("sentences", [[], [np.arange(2), np.arange(0)]])
def test_nothing_to_pack_is_refused(sentences: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        pack(sentences)
