"""Encoders of transformers' other families behind our packed interface.

They compute padded, in groups of sentences of about the same length, with transformers' "eager"
attention: every family has it, and it gives the same bits whether or not a batch has padding.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.encoder.packed_encoder import EncoderSize, PackedEncoder
from model.layers.linear import ROWS
from model.layers.packing import Packed
from spaces.errors import UserError

FAMILIES = (
    "camembert",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "modernbert",
    "mpnet",
    "roberta",
    "xlm-roberta",
)
"""The values of "model_type" in a config.json that are read; each is tested."""

_ATTENTION = "eager"


class MissingWeightsError(Exception):
    """The name of weights that an encoder needs and its checkpoint has not."""


@dataclass(frozen=True, kw_only=True)
class TransformersShape(EncoderSize):
    """What determines the parameters of such an encoder and the function that they compute."""

    config: Mapping[str, Any]
    """The configuration of transformers in plain values."""


class TransformersEncoder(PackedEncoder):
    """A model of transformers, without its pooler.

    `dropout` is the probability of every dropout in it, active in training mode only. Whatever
    lies outside its layers, a last normalisation too, counts as embeddings.
    """

    def __init__(self, shape: TransformersShape, dropout: float = 0.1) -> None:
        super().__init__()
        from transformers import AutoConfig, AutoModel  # Slow to import, and often not needed.

        self.shape = shape
        changes = {name: dropout for name in shape.config if _is_dropout(name)}
        config = AutoConfig.for_model(**{**shape.config, **changes})
        self.model = _without_pooler(
            AutoModel.from_config(config, attn_implementation=_ATTENTION, dtype=torch.float32)
        )
        layers = _layers(self.model)
        # Parts of the model under the names that all encoders have: registered once, as the model.
        vars(self)["layers"] = layers
        vars(self)["embeddings"] = nn.ModuleList(_outside(self.model, layers))

    @property
    def word(self) -> nn.Embedding:
        """The table of word embeddings."""
        table = self.model.get_input_embeddings()
        assert isinstance(table, nn.Embedding)
        return table

    def forward(self, packed: Packed, noise: Tensor | None = None, averaged: int = 1) -> Tensor:
        """As `PackedEncoder.forward` says. Where no gradient is asked for, the length of a sentence
        alone decides the shapes of its products, and so its states do not depend on its company."""
        self.check_lengths(packed)
        types = self.token_types(packed)
        words = self.word(packed.tokens)  # (total, width)
        if noise is not None:
            words = words + noise
        layout = packed.grouped
        states = []
        sources = layout.source.split([group.tokens for group in layout.groups])
        for group, mask, source in zip(layout.groups, layout.masks, sources, strict=True):
            longest = min(group.longest, self.shape.positions)
            tokens = source.view(group.count, group.longest)[:, :longest]
            real = (mask.view(group.count, group.longest) == 0)[:, :longest]
            count = group.count if torch.is_grad_enabled() else max(1, ROWS // group.longest)
            found = torch.cat(
                [
                    self._states(words, piece, seen, types, averaged)
                    for piece, seen in zip(_cut(tokens, count), _cut(real, count), strict=True)
                ]
            )[: group.count]  # (count, longest, hidden)
            states.append(F.pad(found, (0, 0, 0, group.longest - longest)).flatten(0, 1))
        return torch.cat(states).index_select(0, layout.destination)

    def _states(
        self,
        words: Tensor,
        tokens: Tensor,
        real: Tensor,
        token_types: Tensor | None,
        averaged: int,
    ) -> Tensor:
        """(count, longest, hidden), where `tokens` (count, longest) says which word is where."""
        given = {} if token_types is None else {"token_type_ids": token_types[tokens]}
        found = self.model(
            inputs_embeds=words[tokens],
            attention_mask=real.long(),
            output_hidden_states=averaged > 1,
            **given,
        )
        if averaged == 1:
            last: Tensor = found.last_hidden_state
            return last
        return torch.stack([s.float() for s in found.hidden_states[-averaged:]]).mean(0)


def read_transformers(folder: Path) -> tuple[TransformersShape, dict[str, Tensor]]:
    """The checkpoint in a folder, whose config.json names one of `FAMILIES`; the tensors are
    named as `TransformersEncoder`'s parameters.

    Raises:
        MissingWeightsError: if an encoder needs weights that the folder has not.
        UserError: if weights are not of the shape that the configuration says.
        Exception: whatever transformers raises for files that it cannot read.
    """
    from transformers import AutoModel

    with _silence(), torch.random.fork_rng(devices=[]):  # Lacking weights are drawn.
        model, found = AutoModel.from_pretrained(
            str(folder),
            dtype=torch.float32,
            attn_implementation=_ATTENTION,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # They are told below.
        )
    _without_pooler(model)
    parameters = dict(model.named_parameters())
    missing = parameters.keys() & set(found["missing_keys"])
    if missing:
        raise MissingWeightsError(min(missing))
    for name, found_shape, _ in sorted(found["mismatched_keys"]):
        if name in parameters:
            raise UserError(
                f"The weights {name!r} in {folder} have shape {tuple(found_shape)}, which does not "
                "fit its config.json."
            )
    return _shape(model), {f"model.{name}": p.detach() for name, p in parameters.items()}


def _shape(model: Any) -> TransformersShape:
    config = model.config
    return TransformersShape(
        vocabulary=config.vocab_size,
        hidden=config.hidden_size,
        layers=len(_layers(model)),
        positions=config.max_position_embeddings - _unused_positions(model),
        token_types=max(1, getattr(config, "type_vocab_size", 1)),
        config=json.loads(config.to_json_string(use_diff=False)),
    )


def _unused_positions(model: nn.Module) -> int:
    """RoBERTa and its like count positions from behind the padding's number."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            return 0 if module.padding_idx is None else module.padding_idx + 1
    return 0


def _without_pooler(model: Any) -> Any:
    if hasattr(model, "pooler"):
        model.pooler = None
    return model


def _layers(model: Any) -> nn.ModuleList:
    return next(
        module
        for module in model.modules()
        if isinstance(module, nn.ModuleList) and len(module) == model.config.num_hidden_layers
    )


def _outside(module: nn.Module, layers: nn.ModuleList) -> Iterator[nn.Module]:
    """The largest parts of a module that contain none of its layers."""
    for child in module.children():
        if child is not layers:
            if any(part is layers for part in child.modules()):
                yield from _outside(child, layers)
            else:
                yield child


def _cut(table: Tensor, count: int) -> tuple[Tensor, ...]:
    """Cut a batch, (sentences, longest), into pieces of `count` sentences; the last one is filled
    up with the first sentences."""
    missing = -len(table) % count
    pieces: tuple[Tensor, ...] = torch.cat([table, table[:1].expand(missing, -1)]).split(count)
    return pieces


def _is_dropout(key: str) -> bool:
    return key == "dropout" or key.endswith(("_dropout", "_dropout_prob"))


@contextmanager
def _silence() -> Iterator[None]:
    """Keep transformers from listing what a checkpoint has beside its encoder, and from drawing a
    progress bar."""
    from transformers.utils import logging

    before, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bar:
            logging.enable_progress_bar()
