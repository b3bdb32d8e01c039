"""BERT's encoder (arXiv 1810.04805) for packed sentences: no work on padding, no pooler."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.encoder.packed_encoder import EncoderSize, PackedEncoder
from model.layers.attention import attend
from model.layers.dropout import Dropout
from model.layers.embedding import Embedding
from model.layers.linear import Linear
from model.layers.packing import Flat, Grouped, Packed


@dataclass(frozen=True, kw_only=True)
class EncoderShape(EncoderSize):
    """What determines the parameters of an encoder and the function that they compute."""

    heads: int
    intermediate: int
    layer_norm_eps: float = 1e-12
    activation: str = "gelu"
    """A name in transformers' `ACT2FN`; "gelu" is the exact one."""

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            raise ValueError(
                f"`heads` must divide `hidden`, got heads={self.heads}, hidden={self.hidden}."
            )


class Encoder(PackedEncoder):
    """BERT's encoder. Both dropouts are probabilities, active in training mode only."""

    shape: EncoderShape
    embeddings: Embeddings

    def __init__(
        self, shape: EncoderShape, hidden_dropout: float = 0.1, attention_dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.shape = shape
        self.attention_dropout = attention_dropout
        self.embeddings = Embeddings(shape, hidden_dropout)
        self.layers = nn.ModuleList(
            Layer(shape, hidden_dropout, attention_dropout) for _ in range(shape.layers)
        )

    @property
    def word(self) -> Embedding:
        """The table of word embeddings."""
        return self.embeddings.word

    def forward(self, packed: Packed, noise: Tensor | None = None, averaged: int = 1) -> Tensor:
        """As `PackedEncoder.forward` says. Under bf16 autocast on a CPU one layer's states are
        bf16, and a mean is fp32."""
        self.check_lengths(packed)
        layout = packed.flat if self._runs_flat(packed.tokens) else packed.grouped
        types = self.token_types(packed)
        states: Tensor = self.embeddings(packed.tokens, types, packed.positions, noise)
        last: deque[Tensor] = deque(maxlen=averaged)
        for layer in self.layers:
            states = layer(states, layout)
            last.append(states)
        return states if averaged == 1 else torch.stack([s.float() for s in last]).mean(0)

    def _runs_flat(self, tokens: Tensor) -> bool:
        """Whether attention can skip padding altogether.

        PyTorch's kernel for that is CUDA's, in half precision, and knows no dropout; the layout of
        groups does everything everywhere.
        """
        if not tokens.is_cuda or (self.training and self.attention_dropout > 0):
            return False
        width = self.shape.hidden // self.shape.heads
        if width % 8 or width > 256 or torch.cuda.get_device_capability(tokens.device) < (8, 0):
            return False
        autocast = torch.is_autocast_enabled("cuda")
        weights = self.embeddings.word.weight.dtype
        dtype = torch.get_autocast_dtype("cuda") if autocast else weights
        return dtype in (torch.float16, torch.bfloat16)


class Embeddings(nn.Module):
    """The embeddings of word, position and token type, summed and normalised."""

    def __init__(self, shape: EncoderShape, dropout: float) -> None:
        super().__init__()
        self.word = Embedding(shape.vocabulary, shape.hidden)
        self.position = nn.Embedding(shape.positions, shape.hidden)
        self.token_type = nn.Embedding(shape.token_types, shape.hidden)
        self.norm = nn.LayerNorm(shape.hidden, eps=shape.layer_norm_eps)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        tokens: Tensor,
        token_types: Tensor | None,
        positions: Tensor,
        noise: Tensor | None = None,
    ) -> Tensor:
        word = self.word(tokens) if noise is None else self.word(tokens) + noise
        kind = self.token_type.weight[0] if token_types is None else self.token_type(token_types)
        states = self.norm(word + self.position(positions) + kind)  # (tokens, hidden)
        # Autocast leaves lookups alone, and one fp32 term would keep every residual sum in fp32.
        dropped: Tensor = self.dropout(_autocast(states))  # (tokens, hidden)
        return dropped


class Layer(nn.Module):
    """One layer: attention, then the feed-forward network, each added to its input and
    normalised."""

    def __init__(
        self, shape: EncoderShape, hidden_dropout: float, attention_dropout: float
    ) -> None:
        super().__init__()
        self.attention = SelfAttention(shape, hidden_dropout, attention_dropout)
        self.feed_forward = FeedForward(shape, hidden_dropout)

    def forward(self, states: Tensor, layout: Layout) -> Tensor:
        result: Tensor = self.feed_forward(self.attention(states, layout))  # (tokens, hidden)
        return result


class SelfAttention(nn.Module):
    """Self-attention, in which every token of a sentence looks at every other, with the sum and the
    normalisation after it."""

    def __init__(
        self, shape: EncoderShape, hidden_dropout: float, attention_dropout: float
    ) -> None:
        super().__init__()
        self.heads = shape.heads
        self.width = shape.hidden // shape.heads
        self.qkv = Linear(shape.hidden, 3 * shape.hidden)
        self.output = Linear(shape.hidden, shape.hidden)
        self.norm = nn.LayerNorm(shape.hidden, eps=shape.layer_norm_eps)
        self.weight_dropout = Dropout(attention_dropout)
        self.dropout = Dropout(hidden_dropout)

    def forward(self, states: Tensor, layout: Layout) -> Tensor:
        qkv = self.qkv(states)  # (tokens, 3 * hidden)
        if isinstance(layout, Flat):
            mixed = self._flat(qkv, layout)
        else:
            mixed = attend(qkv, layout, self.heads, self.weight_dropout)
        result: Tensor = self.norm(states + self.dropout(self.output(mixed)))  # (tokens, hidden)
        return result

    def _flat(self, qkv: Tensor, layout: Flat) -> Tensor:
        from torch.nn.attention.varlen import varlen_attn  # Slow to import, and for GPUs only.

        query, key, value = qkv.view(-1, 3, self.heads, self.width).unbind(1)
        starts, longest = layout.starts, layout.longest
        mixed = varlen_attn(query, key, value, starts, starts, longest, longest)
        assert isinstance(mixed, Tensor)  # (tokens, heads, width); more only where asked for
        return mixed.flatten(1)  # (tokens, hidden)


class FeedForward(nn.Module):
    """Two linear maps with an activation between them, and the sum and the normalisation after
    them."""

    def __init__(self, shape: EncoderShape, dropout: float) -> None:
        super().__init__()
        self.expand = Linear(shape.hidden, shape.intermediate)
        self.activation = _activation(shape.activation)
        self.contract = Linear(shape.intermediate, shape.hidden)
        self.norm = nn.LayerNorm(shape.hidden, eps=shape.layer_norm_eps)
        self.dropout = Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        inner = self._expanded(states)  # (tokens, intermediate)
        result: Tensor = self.norm(states + self.dropout(self.contract(inner)))  # (tokens, hidden)
        return result

    def _expanded(self, states: Tensor) -> Tensor:
        if self.activation is not None:
            return self.activation(self.expand(states))
        if isinstance(self.expand, Linear):
            return self.expand.gelu(states)
        return F.gelu(self.expand(states))  # an adapted map, see `add_lora`


Layout = Flat | Grouped
"""How attention finds the sentences: by their bounds, or padded in groups."""


def _activation(name: str) -> Callable[[Tensor], Tensor] | None:
    """The activation function of that name; None for "gelu", which a linear map has built in."""
    if name == "gelu":
        return None
    from transformers.activations import ACT2FN  # Slow to import, and hardly ever needed.

    activation: Callable[[Tensor], Tensor] = ACT2FN[name]
    return activation


def _autocast(values: Tensor) -> Tensor:
    """The tensor in the type that matrix products have here under autocast."""
    device = values.device.type
    if not torch.is_autocast_enabled(device):
        return values
    return values.to(torch.get_autocast_dtype(device))
