"""Pretrained checkpoints: from the packaged one, a folder or the hub into an encoder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

from model.checkpoint_folder import (
    CONFIG,
    SENTENCEPIECES,
    TOKENIZER,
    VOCABULARIES,
    checkpoint_folder,
)
from model.encoder import Encoder, EncoderShape
from model.encoder_config import check_config
from model.packed_encoder import EncoderSize, PackedEncoder
from model.transformers_encoder import (
    FAMILIES,
    MissingWeightsError,
    TransformersEncoder,
    TransformersShape,
    read_transformers,
)
from model.undrawn import Undrawn
from model.vocabulary import check_sentencepiece, unsaid
from model.weight_files import weight_files
from spaces.errors import UserError
from spaces.library_failures import brief, failures_told

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


_UNKNOWN = ["\N{SNOWMAN} \N{GRINNING FACE} qzxj \N{CJK UNIFIED IDEOGRAPH-4E00} \x7f", "1", "?!"]
"""What hardly any vocabulary has, of which a tokenizer must make something too."""


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A checkpoint in plain values: it can be shared between processes without a copy."""

    name: str
    """What the user called it."""
    folder: str
    """Where its files lie on the machine that loaded it; the tokenizer is read from there."""
    shape: EncoderSize
    """Its class says which encoder it is one of."""
    weights: dict[str, FloatArray]
    """The encoder's parameter names -> values, read-only."""


def load_encoder(name_or_folder: str) -> Pretrained:
    """A checkpoint: "minilm", a folder in transformers' layout, or a hub id.

    BERT's go into our own encoder, those of `FAMILIES` into transformers'. Heads and pooler in the
    checkpoint are left out. Raises UserError where there is no such checkpoint, or it is not one of
    these encoders.
    """
    folder = checkpoint_folder(name_or_folder)
    config = _read_config(folder)
    shape, weights = (_read_bert if config["model_type"] == "bert" else _read_other)(config, folder)
    for array in weights.values():
        array.flags.writeable = False
    return Pretrained(name=name_or_folder, folder=str(folder), shape=shape, weights=weights)


def build(pretrained: Pretrained, dropout: float) -> PackedEncoder:
    """A new encoder with its own copy of the weights, fp32 on the CPU.

    `dropout` is the probability for hidden states and for attention's weights.
    """
    encoder = _undrawn(pretrained.shape, dropout)
    for name, parameter in encoder.named_parameters():
        np.copyto(parameter.detach().numpy(), pretrained.weights[name])
    return encoder


def _undrawn(shape: EncoderSize, dropout: float) -> PackedEncoder:
    if isinstance(shape, TransformersShape):  # Its constants are not made on the meta device.
        with torch.random.fork_rng(devices=[]), Undrawn():
            return TransformersEncoder(shape, dropout)
    assert isinstance(shape, EncoderShape)
    with torch.device("meta"), Undrawn():
        encoder = Encoder(shape, dropout, dropout)
    return encoder.to_empty(device="cpu")


def load_tokenizer(pretrained: Pretrained) -> Tokenizer:
    """The checkpoint's tokenizer, which neither pads nor truncates.

    Raises UserError where the checkpoint's folder has none, or one for another vocabulary, or one
    that does not put one token before a sentence and one after it.
    """
    folder = Path(pretrained.folder)
    file = folder / TOKENIZER
    if not any((folder / name).is_file() for name in (TOKENIZER, *VOCABULARIES)):
        raise UserError(
            f"{folder} has no tokenizer: neither {TOKENIZER} nor {' nor '.join(VOCABULARIES)}."
        )
    with failures_told(lambda why: f"The tokenizer in {folder} cannot be read ({why})."):
        tokenizer = Tokenizer.from_file(str(file)) if file.is_file() else _convert(folder)
    if tokenizer.get_vocab_size() > pretrained.shape.vocabulary:
        raise UserError(
            f"The tokenizer in {folder} knows {tokenizer.get_vocab_size()} tokens and the encoder "
            f"there only {pretrained.shape.vocabulary}; they must come from one checkpoint."
        )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if (largest := max(tokenizer.get_vocab().values(), default=0)) >= pretrained.shape.vocabulary:
        raise UserError(
            f"The tokenizer in {folder} has a token number {largest}, and the encoder there knows "
            f"{pretrained.shape.vocabulary} tokens, from 0; they must come from one checkpoint."
        )
    with failures_told(lambda why: f"The tokenizer in {folder} cannot be used ({why}).", True):
        special = tokenizer.encode("a sentence").special_tokens_mask
        tokenizer.encode_batch(_UNKNOWN)
    if special != [1, *[0] * (len(special) - 2), 1]:
        raise UserError(
            f"The tokenizer in {folder} does not put one token before a sentence and one after it, "
            "as [CLS] and [SEP] or <s> and </s> are; only those that do can be used."
        )
    return tokenizer


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


def _read_config(folder: Path) -> dict[str, Any]:
    """A config.json whose "model_type" is one that we read."""
    file = folder / CONFIG
    if not file.is_file():
        raise UserError(f"{folder} is no checkpoint: it has no {CONFIG}.")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is not JSON ({brief(error)}).") from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in ("bert", *FAMILIES):
        raise UserError(
            f"{file} says model_type {brief(repr(kind))}, but only these are read: bert, "
            f"{', '.join(FAMILIES)}."
        )
    found: dict[str, Any] = config
    check_config(found, file)
    return found


def _read_other(
    config: Mapping[str, Any], folder: Path
) -> tuple[EncoderSize, dict[str, FloatArray]]:
    weight_files(folder)  # What lacks there is told better than by transformers.
    with failures_told(lambda why: f"The checkpoint in {folder} cannot be read ({why})."):
        try:
            shape, tensors = read_transformers(folder)
        except MissingWeightsError as error:
            raise UserError(
                f"The checkpoint in {folder} has no weights {str(error)!r}; a "
                f"{config['model_type']} encoder, as its {CONFIG} describes it, would."
            ) from error
    return shape, {name: tensor.numpy() for name, tensor in tensors.items()}


def _read_bert(
    config: Mapping[str, Any], folder: Path
) -> tuple[EncoderSize, dict[str, FloatArray]]:
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


def _convert(folder: Path) -> Tokenizer:
    from transformers import AutoTokenizer

    for name in SENTENCEPIECES:
        if (folder / name).is_file():
            check_sentencepiece(folder / name)
    tokenizer = AutoTokenizer.from_pretrained(
        str(folder), use_fast=True, local_files_only=True, **unsaid(folder)
    )
    converted: Tokenizer = tokenizer.backend_tokenizer
    return converted
