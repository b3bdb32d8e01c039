"""The interface that the rest of the code asks of an encoder, whichever model computes behind
it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from model.layers.packing import Packed


@dataclass(frozen=True, kw_only=True)
class EncoderSize:
    """The sizes of an encoder that data and configuration have to fit."""

    vocabulary: int
    hidden: int
    layers: int
    positions: int = 512
    """The longest sentence, in tokens."""
    token_types: int = 2
    """1 where the encoder does not tell the sentences of a pair apart."""


class PackedEncoder(nn.Module):
    """An encoder takes packed sentences and gives the states of their tokens.

    `embeddings` and `layers` (from the input to the output) are all of its parameters; each can be
    frozen, moved or decayed on its own.
    """

    shape: EncoderSize
    embeddings: nn.Module
    layers: nn.ModuleList

    @property
    def word(self) -> nn.Embedding:
        """The table of word embeddings."""
        raise NotImplementedError

    def forward(self, packed: Packed, noise: Tensor | None = None, averaged: int = 1) -> Tensor:
        """The states of the last layer, or the mean of those of the last `averaged` ones, (total,
        hidden), in the order of the tokens given.

        `noise`, fp32 (total, width of a word embedding), is added to the word embeddings. Raises
        ValueError for a sentence longer than the encoder's positions.
        """
        raise NotImplementedError

    def token_types(self, packed: Packed) -> Tensor | None:
        """int64 (total,); None where all are 0 or the encoder has none: then only a separator
        tells the sentences of a pair apart."""
        return packed.token_types if self.shape.token_types > 1 else None

    def check_lengths(self, packed: Packed) -> None:
        """Raise ValueError for a sentence longer than the encoder's positions."""
        longest = int(packed.lengths.max())
        if longest > self.shape.positions:
            raise ValueError(
                f"A sentence of {longest} tokens is longer than the encoder's "
                f"{self.shape.positions} positions."
            )
