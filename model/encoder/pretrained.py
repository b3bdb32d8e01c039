"""Pretrained checkpoints: from the packaged one, a folder or the hub into an encoder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.encoder.bert import Encoder, EncoderShape
from model.encoder.bert_weights import FloatArray, read_bert
from model.encoder.encoder_config import check_config
from model.encoder.packed_encoder import EncoderSize, PackedEncoder
from model.encoder.pretrained_files import CONFIG, checkpoint_folder
from model.encoder.transformers_encoder import (
    FAMILIES,
    MissingWeightsError,
    TransformersEncoder,
    TransformersShape,
    read_transformers,
)
from model.encoder.undrawn import Undrawn
from model.encoder.weight_files import weight_files
from spaces.errors import UserError
from spaces.library_failures import brief, failures_told


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A checkpoint in plain values: it can be shared between processes without a copy."""

    name: str
    """The name by which the user asked for the checkpoint."""
    folder: str
    """The folder of its files on the machine that loaded it; the tokenizer is read from there."""
    shape: EncoderSize
    """The encoder's shape, whose class says which kind of encoder it is."""
    weights: dict[str, FloatArray]
    """The values of the encoder's parameters by name, read-only."""


def load_encoder(name_or_folder: str) -> Pretrained:
    """A checkpoint: "minilm", a folder in transformers' layout, or a hub id.

    BERT's go into our own encoder, those of `FAMILIES` into transformers'. Heads and pooler in the
    checkpoint are left out. Raises UserError where there is no such checkpoint, or it is not one of
    these encoders.
    """
    folder = checkpoint_folder(name_or_folder)
    config = _read_config(folder)
    shape, weights = (read_bert if config["model_type"] == "bert" else _read_other)(config, folder)
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


def _read_config(folder: Path) -> dict[str, Any]:
    """Read a checkpoint's config.json. Raises UserError where it is missing, is not JSON, or names
    a "model_type" that cannot be loaded."""
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
