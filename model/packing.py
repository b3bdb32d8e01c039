"""Sentences of different lengths end to end in one tensor, and how to compute on them cheaply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

IntArray = npt.NDArray[np.int64]

# The planner's prices, in units of one token's pass through every part of a layer but attention.
# Measured on all-MiniLM-L6-v2, forward and backward; a plan changes little when they are off by 2.
_PRICE_OF_A_SCORE = 0.004
"""One query meeting one key, in all heads."""
_PRICE_OF_A_GROUP = 16.0
"""Starting the operations of one more group."""


@dataclass(frozen=True)
class Group:
    """Sentences that attention handles as one batch, each padded to the longest of them."""

    count: int
    longest: int
    """In tokens."""
    ragged: bool
    """Whether any of its sentences is shorter than `longest`, so that a mask is needed."""

    @property
    def tokens(self) -> int:
        """Padding included."""
        return self.count * self.longest


@dataclass(frozen=True, eq=False)
class Plan:
    """How flat sentences become groups of similar length, and back; all on the host.

    "Grouped" is the layout in which the groups follow one another, each of them
    (count, longest) with its padding, so that a group is a contiguous piece of the whole.
    """

    order: IntArray
    """(sentences,): the number of the sentence at each place of the grouped layout."""
    groups: tuple[Group, ...]
    """From the shortest sentences to the longest."""
    source: IntArray
    """(grouped tokens,): the flat token at each grouped place; padding repeats token 0."""
    positions: IntArray
    """(grouped tokens,): the place of each token in its sentence; 0 for padding."""
    destination: IntArray
    """(total,): the grouped place of each flat token."""


@dataclass(frozen=True, eq=False)
class Grouped:
    """A plan's tensors on the device of the tokens."""

    groups: tuple[Group, ...]
    source: Tensor
    positions: Tensor
    destination: Tensor
    masks: tuple[Tensor | None, ...]
    """For each group fp32 (count, 1, 1, longest) to add to attention's scores, or None."""


@dataclass(frozen=True, eq=False)
class Flat:
    """What attention over sentences of different lengths needs to work without padding."""

    positions: Tensor
    """int64 (total,): the place of each token in its sentence."""
    starts: Tensor
    """int32 (sentences + 1,): where each sentence starts, and the total."""
    longest: int


@dataclass(frozen=True, eq=False)
class Packed:
    """Sentences end to end, without padding; make one with `pack`.

    The lengths stay on the host, so that nobody has to wait for a device to learn a shape. The
    layouts are computed when first asked for and kept.
    """

    tokens: Tensor
    """int64 (total,), on the device."""
    lengths: IntArray
    """int64 (sentences,), each at least 1, always on the host."""

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Packed:
        """The same sentences with their tokens on `device`; itself where they are there."""
        tokens = self.tokens.to(device, non_blocking=non_blocking)
        return self if tokens is self.tokens else self._with(tokens)

    def pin_memory(self) -> Packed:
        """The same with tokens in page-locked memory; itself where no CUDA device could use it."""
        return self._with(self.tokens.pin_memory()) if torch.cuda.is_available() else self

    @cached_property
    def plan(self) -> Plan:
        """The cheapest groups for these lengths."""
        return plan(self.lengths)

    @cached_property
    def grouped(self) -> Grouped:
        """The plan as tensors beside the tokens."""
        ends = np.cumsum([group.count for group in self.plan.groups])
        masks = []
        for group, end in zip(self.plan.groups, ends, strict=True):
            lengths = self.lengths[self.plan.order[end - group.count : end]]
            masks.append(self._beside(_mask(lengths, group.longest)) if group.ragged else None)
        return Grouped(
            groups=self.plan.groups,
            source=self._beside(self.plan.source),
            positions=self._beside(self.plan.positions),
            destination=self._beside(self.plan.destination),
            masks=tuple(masks),
        )

    @cached_property
    def flat(self) -> Flat:
        """The bounds of the sentences as tensors beside the tokens."""
        starts = np.concatenate([[0], np.cumsum(self.lengths)])
        return Flat(
            positions=self._beside(_within(self.lengths)),
            starts=self._beside(starts.astype(np.int32)),
            longest=int(self.lengths.max()),
        )

    def _with(self, tokens: Tensor) -> Packed:
        moved = Packed(tokens, self.lengths)
        if "plan" in vars(self):  # It lives on the host: a plan made ahead is good anywhere.
            vars(moved)["plan"] = self.plan
        return moved

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


def plan(lengths: IntArray) -> Plan:
    """The division of sentences of these lengths, (sentences,), that costs the least to compute.

    Sentences are sorted by length; sentences of one length stay together and in order.
    """
    order = np.argsort(lengths, kind="stable")  # (sentences,)
    longest, counts = np.unique(lengths, return_counts=True)
    groups = []
    places = np.empty_like(lengths)  # (sentences,): where each starts in the grouped layout
    tokens = sentences = 0
    for first, end in _cuts(longest, counts):
        group = Group(
            count=int(counts[first:end].sum()),
            longest=int(longest[end - 1]),
            ragged=end - first > 1,
        )
        members = order[sentences : sentences + group.count]
        places[members] = tokens + group.longest * np.arange(group.count)
        groups.append(group)
        tokens += group.tokens
        sentences += group.count
    within = _within(lengths)
    destination = np.repeat(places, lengths) + within  # (total,)
    source = np.zeros(tokens, dtype=np.int64)
    source[destination] = np.arange(len(within))
    positions = np.zeros(tokens, dtype=np.int64)
    positions[destination] = within
    return Plan(order, tuple(groups), source, positions, destination)


def cost(groups: Sequence[Group]) -> float:
    """The planner's estimate, in tokens' passes through a layer without attention."""
    return sum(float(_price(group.count, group.longest)) for group in groups)


def _cuts(longest: IntArray, counts: IntArray) -> list[tuple[int, int]]:
    """Where to cut ascending unique lengths, (lengths,), into groups [first, end) at least cost.

    Dynamic programming: the best division of the first `end` lengths is the best one of the first
    `first`, plus one group, for the best `first`.
    """
    sentences = np.concatenate([[0], np.cumsum(counts)])
    best = np.zeros(len(longest) + 1)
    firsts = np.zeros(len(longest) + 1, dtype=np.int64)
    for end in range(1, len(longest) + 1):
        prices = best[:end] + _price(sentences[end] - sentences[:end], longest[end - 1])
        firsts[end] = prices.argmin()
        best[end] = prices[firsts[end]]
    cuts = []
    end = len(longest)
    while end:
        cuts.append((int(firsts[end]), end))
        end = int(firsts[end])
    return cuts[::-1]


def _price(count: IntArray | int, longest: int) -> npt.NDArray[np.float64]:
    each = longest * (1 + _PRICE_OF_A_SCORE * longest)
    return np.asarray(count * each + _PRICE_OF_A_GROUP)


def _within(lengths: IntArray) -> IntArray:
    """The place in its sentence of every token, (total,)."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)


def _mask(lengths: IntArray, longest: int) -> npt.NDArray[np.float32]:
    """0 at a sentence's tokens and minus infinity at its padding, (count, 1, 1, longest)."""
    padding = np.arange(longest) >= lengths[:, None]  # (count, longest)
    return np.where(padding, np.float32(-np.inf), np.float32(0))[:, None, None, :]
