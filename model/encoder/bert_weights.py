"""A BERT checkpoint's configuration and weights, by our encoder's names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.encoder.bert import Encoder, EncoderShape
from model.encoder.packed_encoder import EncoderSize
from model.encoder.pretrained_files import CONFIG
from model.encoder.undrawn import Undrawn
from model.encoder.weight_files import weight_files
from spaces.errors import UserError
from spaces.library_failures import failures_told

FloatArray = npt.NDArray[np.float32]

_SHAPE: dict[str, tuple[str, Any]] = {
    "vocabulary": ("vocab_size", 30522),
    "hidden": ("hidden_size", 768),
    "layers": ("num_hidden_layers", 12),
    "heads": ("num_attention_heads", 12),
    "intermediate": ("intermediate_size", 3072),
    "positions": ("max_position_embeddings", 512),
    "token_types": ("type_vocab_size", 2),
    "layer_norm_eps": ("layer_norm_eps", 1e-12),
    "activation": ("hidden_act", "gelu"),
}
"""`EncoderShape`'s fields -> the key in a transformers config.json, and what its absence means."""

_MODULES: dict[str, tuple[str, ...]] = {
    "embeddings.word": ("embeddings.word_embeddings",),
    "embeddings.position": ("embeddings.position_embeddings",),
    "embeddings.token_type": ("embeddings.token_type_embeddings",),
    "embeddings.norm": ("embeddings.LayerNorm",),
}

_LAYER_MODULES: dict[str, tuple[str, ...]] = {
    "attention.qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "attention.output": ("attention.output.dense",),
    "attention.norm": ("attention.output.LayerNorm",),
    "feed_forward.expand": ("intermediate.dense",),
    "feed_forward.contract": ("output.dense",),
    "feed_forward.norm": ("output.LayerNorm",),
}
"""Our modules -> those of transformers' `BertModel`, whose rows follow one another in ours."""


def to_transformers_names(weights: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """`Encoder`'s weights under the names, and in the pieces, of transformers' `BertModel`."""
    layers = sum(name.endswith("attention.qkv.weight") for name in weights)
    return {
        theirs: piece
        for ours, sources in _parameters(layers)
        for theirs, piece in zip(sources, np.split(weights[ours], len(sources)), strict=True)
    }


def _parameters(layers: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each of our parameters, and those of transformers' that it consists of."""
    modules = dict(_MODULES)
    for layer in range(layers):
        for ours, theirs in _LAYER_MODULES.items():
            modules[f"layers.{layer}.{ours}"] = tuple(f"encoder.layer.{layer}.{t}" for t in theirs)
    for ours, theirs in modules.items():
        lookup = ours.startswith("embeddings.") and not ours.endswith("norm")
        for kind in ("weight",) if lookup else ("weight", "bias"):
            yield f"{ours}.{kind}", tuple(f"{module}.{kind}" for module in theirs)


def _from_transformers_names(
    theirs: Mapping[str, Tensor], shape: EncoderShape, folder: Path
) -> dict[str, FloatArray]:
    with torch.device("meta"), Undrawn():
        expected = {name: tuple(p.shape) for name, p in Encoder(shape).named_parameters()}
    weights = {}
    for ours, sources in _parameters(shape.layers):
        missing = [source for source in sources if source not in theirs]
        if missing:
            raise UserError(
                f"The checkpoint in {folder} has no weights {missing[0]!r}; a BERT encoder of "
                f"{shape.layers} layers, as its {CONFIG} says, would."
            )
        pieces = [theirs[source].float().numpy() for source in sources]
        weights[ours] = np.concatenate(pieces) if len(pieces) > 1 else pieces[0]
        if weights[ours].shape != expected[ours]:
            raise UserError(
                f"The weights {sources[0]!r} in {folder} have shape {pieces[0].shape}, which does "
                f"not fit its {CONFIG}."
            )
    return weights


def read_bert(config: Mapping[str, Any], folder: Path) -> tuple[EncoderSize, dict[str, FloatArray]]:
    shape = _read_shape(config, folder / CONFIG)
    return shape, _from_transformers_names(_read_weights(folder), shape, folder)


def _read_shape(config: Mapping[str, Any], file: Path) -> EncoderShape:
    values = {ours: config.get(key, default) for ours, (key, default) in _SHAPE.items()}
    try:
        return EncoderShape(**values)
    except (TypeError, ValueError) as error:
        raise UserError(f"{file} describes no encoder: {error}") from error


def _read_weights(folder: Path) -> dict[str, Tensor]:
    """The checkpoint's tensors under the names of transformers' `BertModel`."""
    tensors: dict[str, Tensor] = {}
    for file in weight_files(folder):
        with failures_told(partial(_weights_cannot_be_read, file)):
            if file.suffix == ".safetensors":
                from safetensors.torch import load_file

                found = load_file(file)
            else:
                found = torch.load(file, map_location="cpu", weights_only=True)
            tensors |= {_modern(name): tensor for name, tensor in found.items()}
    return tensors


def _weights_cannot_be_read(file: Path, why: str) -> str:
    return f"The weights in {file} cannot be read ({why})."


def _modern(name: str) -> str:
    name = name.removeprefix("bert.")
    for old, new in (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")):
        name = name.replace(old, new)
    return name
