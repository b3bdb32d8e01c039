"""Sentences of different lengths end to end in one tensor, and how attention sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

IntArray = npt.NDArray[np.int64]

# Attention pads lengths and counts to multiples of these. A library of matrix products prepares
# itself for every new shape, which takes longer than some products: few shapes are met again.
_LENGTHS, _COUNTS = 8, 4


@dataclass(frozen=True)
class Group:
    """Sentences that attention handles as one batch, padded to one length."""

    count: int
    """How many sentences it has, those included that are empty and fill it up."""
    longest: int
    """How many tokens each of its sentences has, padding included."""

    @property
    def tokens(self) -> int:
        """How many tokens the group has, padding included."""
        return self.count * self.longest


@dataclass(frozen=True, eq=False)
class Grouped:
    """The sentences in groups, (count, longest) one after the other: padding for attention only."""

    groups: tuple[Group, ...]
    """The groups, from the shortest sentences to the longest."""
    source: Tensor
    """int64 (grouped tokens,): the flat token at each grouped place; padding repeats token 0."""
    destination: Tensor
    """int64 (total,): the grouped place of each flat token."""
    masks: tuple[Tensor, ...]
    """The mask of each group, fp32 (count, 1, 1, longest), to add to attention's scores."""


@dataclass(frozen=True, eq=False)
class Flat:
    """What attention over sentences of different lengths needs to work without padding."""

    starts: Tensor
    """int32 (sentences + 1,): where each sentence starts, and the total."""
    longest: int


@dataclass(frozen=True, eq=False)
class Packed:
    """Sentences end to end, without padding; make one with `pack`.

    The lengths stay on the host, so that nobody has to wait for a device to learn a shape. What
    follows from them is computed when first asked for and kept.
    """

    tokens: Tensor
    """int64 (total,), on the device."""
    lengths: IntArray
    """int64 (sentences,), each at least 1, always on the host."""
    token_types: Tensor | None = None
    """int64 (total,), beside the tokens; None where all are 0."""

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Packed:
        """The same sentences with their tokens on `device`; this object where they are there
        already."""
        tokens = self.tokens.to(device, non_blocking=non_blocking)
        if tokens is self.tokens:
            return self
        types = self.token_types
        types = None if types is None else types.to(device, non_blocking=non_blocking)
        return Packed(tokens, self.lengths, types)

    def pin_memory(self) -> Packed:
        """The same sentences with their tokens in page-locked memory; this object where no CUDA
        device could use that."""
        if not torch.cuda.is_available():
            return self
        types = None if self.token_types is None else self.token_types.pin_memory()
        return Packed(self.tokens.pin_memory(), self.lengths, types)

    def split(self, counts: Sequence[int]) -> tuple[Packed, ...]:
        """The first so many sentences, the next so many and so on, as `Tensor.split` does."""
        lengths = np.split(self.lengths, np.cumsum(counts)[:-1])
        tokens = [int(part.sum()) for part in lengths]
        types = self.token_types
        parts = zip(
            self.tokens.split(tokens),
            lengths,
            [None] * len(tokens) if types is None else types.split(tokens),
            strict=True,
        )
        return tuple(Packed(*part) for part in parts)

    @cached_property
    def positions(self) -> Tensor:
        """int64 (total,): the place of each token in its sentence."""
        return self._beside(_within(self.lengths))

    @cached_property
    def flat(self) -> Flat:
        """The bounds of the sentences, for attention without padding."""
        starts = np.concatenate([[0], np.cumsum(self.lengths)])
        return Flat(self._beside(starts.astype(np.int32)), int(self.lengths.max()))

    @cached_property
    def grouped(self) -> Grouped:
        """The sentences in groups of about the same length; within a group they keep their
        order."""
        padded = _round_up(self.lengths, _LENGTHS)  # (sentences,)
        places = np.empty_like(self.lengths)  # (sentences,): where each starts
        groups, masks, tokens = [], [], 0
        for longest, count in zip(*np.unique(padded, return_counts=True), strict=True):
            members = np.flatnonzero(padded == longest)
            places[members] = tokens + longest * np.arange(count)
            group = Group(int(_round_up(count, _COUNTS)), int(longest))
            # An empty sentence sees all of its padding: no softmax over nothing.
            lengths = np.full(group.count, longest)
            lengths[:count] = self.lengths[members]
            masks.append(_mask(lengths, group.longest).ravel())
            groups.append(group)
            tokens += group.tokens
        destination = np.repeat(places, self.lengths) + _within(self.lengths)  # (total,)
        source = np.zeros(tokens, dtype=np.int64)
        source[destination] = np.arange(len(destination))
        mask = self._beside(np.concatenate(masks)).split([group.tokens for group in groups])
        return Grouped(
            groups=tuple(groups),
            source=self._beside(source),
            destination=self._beside(destination),
            masks=tuple(
                piece.view(group.count, 1, 1, group.longest)
                for piece, group in zip(mask, groups, strict=True)
            ),
        )

    def _beside(self, values: npt.NDArray[np.generic]) -> Tensor:
        # Kept for later, when inference may be over: training cannot use an inference tensor.
        with torch.inference_mode(False):
            tensor = torch.from_numpy(values)
            if self.tokens.is_cuda:  # From pageable memory the copy would wait for the device.
                tensor = tensor.pin_memory()
            return tensor.to(self.tokens.device, non_blocking=True)


def pack(
    sentences: Sequence[npt.NDArray[np.integer]], device: torch.device | str = "cpu"
) -> Packed:
    """Sentences of token ids, each an integer array (length,), as one `Packed` on `device`.

    Raises ValueError where there is no sentence, or one without tokens.
    """
    lengths = np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences))
    if not len(lengths) or not lengths.all():
        raise ValueError(
            f"Only sentences of at least one token can be packed, got lengths {lengths.tolist()}."
        )
    tokens = torch.from_numpy(np.concatenate(sentences, dtype=np.int64))  # (total,)
    return Packed(tokens, lengths).to(device)


def pack_pairs(
    pairs: Sequence[tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]],
    device: torch.device | str = "cpu",
) -> Packed:
    """Pairs of such arrays, each pair end to end as one sentence: the tokens of its second array,
    which may have none, are of type 1.

    Raises ValueError where there is no pair, or one without tokens.
    """
    packed = pack([np.concatenate(pair) for pair in pairs])
    lengths = [len(part) for pair in pairs for part in pair]
    types = torch.from_numpy(np.repeat(np.arange(len(lengths)) % 2, lengths))  # (total,)
    return Packed(packed.tokens, packed.lengths, types if types.any() else None).to(device)


def _within(lengths: IntArray) -> IntArray:
    """The place in its sentence of every token, (total,)."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)


def _mask(lengths: IntArray, longest: int) -> npt.NDArray[np.float32]:
    """(count, longest): 0 at a sentence's tokens and minus infinity at its padding."""
    padding = np.arange(longest) >= lengths[:, None]
    return np.where(padding, np.float32(-np.inf), np.float32(0))


def _round_up(values: IntArray, step: int) -> IntArray:
    return -(-values // step) * step
