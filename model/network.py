"""The multitask network: one encoder, one pooling, the heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from model.batches import Batch
from model.encoder import Encoder
from model.heads import build_heads
from model.packing import Packed
from model.pooling import pool
from model.pretrained import Pretrained, build
from model.tasks import Task
from spaces import Config, UserError


class Network(nn.Module):
    """The encoder runs in the precision of the surrounding autocast, everything after in fp32."""

    def __init__(self, config: Config, tasks: Sequence[Task], encoder: Encoder) -> None:
        super().__init__()
        self.pooling = config.pooling
        self.tasks = tuple(tasks)
        self.encoder = encoder
        self.heads = build_heads(config, encoder.shape.hidden, tasks)
        self._freeze(config.trainable_layers)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Each task's outputs, fp32 (examples, outputs). One forward encodes all sentences."""
        given = batch.sentences
        embeddings = given if isinstance(given, Tensor) else self.embed(given)
        counts = [t.sentences * len(batch.tasks[t.name].labels) for t in self.tasks]
        parts = zip(self.tasks, embeddings.split(counts), strict=True)
        return self.head_outputs({t.name: (e, batch.tasks[t.name].jaccard) for t, e in parts})

    def embed(self, packed: Packed) -> Tensor:
        """fp32 (sentences, hidden)"""
        hidden = self.encoder(packed)  # (tokens, hidden)
        with torch.autocast(hidden.device.type, enabled=False):
            return pool(self.pooling, hidden, packed)

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
        """Frozen parts stay in evaluation mode: without dropout they give the same each time."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self

    @property
    def frozen(self) -> set[str]:
        """The names of the parameters that stay as they are."""
        return {name for name, p in self.named_parameters() if not p.requires_grad}

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
    """The network of a configuration, its heads drawn from the seed.

    Raises:
        UserError: if the configuration asks for more than the encoder has.
    """
    if config.max_length > pretrained.shape.positions:
        raise UserError(
            f"max_length is {config.max_length}, but the encoder {pretrained.name} reads at most "
            f"{pretrained.shape.positions} tokens."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return Network(config, tasks, build(pretrained, config.dropout))
