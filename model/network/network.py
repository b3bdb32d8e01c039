"""The multitask network: one encoder, one pooling, the heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from model.data.batches import Batch
from model.encoder.initialization import draw_anew
from model.encoder.lora import add_lora
from model.encoder.packed_encoder import PackedEncoder
from model.encoder.pretrained import Pretrained, build
from model.layers.packing import Packed
from model.network.heads import build_heads
from model.network.loss_weighting import build_weighting
from model.network.pooling import Pooling
from model.tasks.task import Task
from spaces import Config, UserError


class Network(nn.Module):
    """Encoder, pooling and heads as one network. The encoder runs in the precision of the
    surrounding autocast, everything after it in fp32."""

    def __init__(self, config: Config, tasks: Sequence[Task], encoder: PackedEncoder) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.encoder = encoder
        self.pooling = Pooling(config.pooling, config.pooled_layers, encoder.shape.hidden)
        self.heads = build_heads(config, encoder.shape.hidden, tasks)
        self.weighting = build_weighting(config, tasks)
        if rank := config.active().get("lora_rank"):
            add_lora(encoder, rank)
        self._freeze(config.trainable_layers)
        self._trainable = {p for p in self.parameters() if p.requires_grad}
        self._waiting: list[nn.Module] = []
        self._apart = config.active().get("gradient_surgery") == "pcgrad"
        self._gradual = config.active().get("unfreezing") == "gradual"

    def forward(self, batch: Batch, noise: Tensor | None = None) -> dict[str, Tensor]:
        """The outputs of each task of the batch, fp32 (examples, outputs).

        One forward encodes all sentences, or, for gradient surgery, one a task: no task's backward
        pass then meets sentences that its loss does not depend on. `noise`, fp32 (tokens, hidden),
        is added to the word embeddings.
        """
        parts = batch.tasks.items()
        given, counts = batch.sentences, [part.sequences for _, part in parts]
        if isinstance(given, Tensor):
            own = given.split(counts)
        elif self._apart:
            own = self._embed_apart(given.split(counts), noise)
        else:
            own = self.embed(given, noise).split(counts)
        return self.head_outputs(
            {name: (e, part.jaccard) for (name, part), e in zip(parts, own, strict=True)}
        )

    def embed(self, packed: Packed, noise: Tensor | None = None) -> Tensor:
        """The embeddings of a batch's sequences, fp32 (sequences, hidden)."""
        hidden = self.encoder(packed, noise, self.pooling.layers)  # (tokens, hidden)
        with torch.autocast(hidden.device.type, enabled=False):
            embeddings: Tensor = self.pooling(hidden, packed)
        return embeddings

    def _embed_apart(self, parts: Sequence[Packed], noise: Tensor | None) -> tuple[Tensor, ...]:
        if noise is None:
            return tuple(self.embed(part) for part in parts)
        own = noise.split([len(part.tokens) for part in parts])
        return tuple(self.embed(part, n) for part, n in zip(parts, own, strict=True))

    def head_outputs(self, inputs: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """Each task's outputs from its sentences' embeddings (first ones, then second ones) and
        its examples' Jaccard similarities."""
        outputs: dict[str, Tensor] = {}
        device = next(iter(inputs.values()))[0].device.type
        with torch.autocast(device, enabled=False):
            for head in self.heads.values():
                outputs |= head(inputs)
        return outputs

    def train(self, mode: bool = True) -> Network:
        """Switch to training mode. Frozen parts stay in evaluation mode: without dropout they give
        the same each time."""
        super().train(mode)
        for part in (*self._frozen, *self._waiting):
            part.eval()
        return self

    def start_epoch(self, epoch: int) -> None:
        """Where layers are unfrozen gradually (Howard and Ruder 2018, 3.3), have all but the last
        `epoch` of them wait: from 1, one more is trained in each epoch. The embeddings go with the
        lowest one."""
        if not self._gradual:
            return
        encoder = self.encoder
        waiting = len(encoder.layers) - epoch
        self._waiting = [encoder.embeddings, *encoder.layers[:waiting]] if waiting > 0 else []
        ahead = {p for part in self._waiting for p in part.parameters()}
        for parameter in self._trainable:
            parameter.requires_grad_(parameter not in ahead)

    @property
    def frozen(self) -> set[str]:
        """The names of the parameters that always stay as they are."""
        return {name for name, p in self.named_parameters() if p not in self._trainable}

    @property
    def embeds_alike(self) -> bool:
        """Whether no training changes what a sequence's embedding is."""
        return not any(
            parameter in self._trainable
            for part in (self.encoder, self.pooling)
            for parameter in part.parameters()
        )

    def _freeze(self, trainable: str | int) -> None:
        encoder = self.encoder
        self._frozen: list[nn.Module] = []
        if trainable == "all":
            return
        kept = 0 if trainable == "none" else int(trainable)
        if kept > len(encoder.layers):
            raise UserError(
                f"trainable_layers is {kept}, but this encoder has {len(encoder.layers)} layers."
            )
        frozen = [encoder.embeddings, *list(encoder.layers)[: len(encoder.layers) - kept]]
        for part in frozen:
            part.requires_grad_(False)
        self._frozen = frozen


def build_network(config: Config, tasks: Sequence[Task], pretrained: Pretrained) -> Network:
    """The network of a configuration; its heads, and layers that start anew, are drawn from the
    seed.

    Raises:
        UserError: if the configuration asks for more than the encoder has.
    """
    if config.max_length > pretrained.shape.positions:
        raise UserError(
            f"max_length is {config.max_length}, but the encoder {pretrained.name} reads at most "
            f"{pretrained.shape.positions} tokens."
        )
    if config.pooled_layers > pretrained.shape.layers:
        raise UserError(
            f"pooled_layers is {config.pooled_layers}, but the encoder {pretrained.name} has "
            f"{pretrained.shape.layers} layers."
        )
    encoder = build(pretrained, config.dropout)
    _reinitialize(config, encoder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return Network(config, tasks, encoder)


def _reinitialize(config: Config, encoder: PackedEncoder) -> None:
    """Draw as many of the top layers anew as are asked for."""
    wanted = config.active().get("reinitialized_layers", 0)
    depth = len(encoder.layers)
    if wanted > depth:
        raise UserError(f"reinitialized_layers is {wanted}, but this encoder has {depth} layers.")
    generator = torch.Generator().manual_seed(config.seed)
    for layer in encoder.layers[depth - wanted :]:
        draw_anew(layer, generator)
