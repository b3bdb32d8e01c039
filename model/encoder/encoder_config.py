"""What a pretrained encoder's config.json must be like in the keys that an encoder is made from.

Checked before anything is made from it: a size that is text, or has no end, would else be met deep
inside a library.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spaces.errors import UserError, unknown

_MOST = 10_000_000  # of anything; what is larger is a slip of the pen
_MOST_LAYERS = 1_000

_LAYERS = ("num_hidden_layers", "n_layers")
_SIZES = (
    *("vocab_size", "hidden_size", "dim", "embedding_size", "intermediate_size", "hidden_dim"),
    *("num_attention_heads", "n_heads", "max_position_embeddings", "local_attention"),
    *("relative_attention_num_buckets", "global_attn_every_n_layers"),
)
_COUNTS = ("type_vocab_size", "conv_kernel_size", "conv_groups")
_LIMITS = ("max_relative_positions", "position_buckets")  # -1 is none
_SMALL_NUMBERS = ("layer_norm_eps", "norm_eps", "initializer_range")
_SWITCHES = (
    *("is_decoder", "relative_attention", "position_biased_input", "share_att_key", "norm_bias"),
    *("attention_bias", "mlp_bias", "sinusoidal_pos_embds", "add_cross_attention"),
)
_ACTIVATIONS = ("hidden_act", "hidden_activation", "activation", "conv_act")
_OTHER_TEXTS = ("norm_rel_ebd", "position_embedding_type")


def check_config(config: Mapping[str, Any], file: Path) -> None:
    """Raise UserError for a value that no encoder can be made from; keys that no encoder of ours
    reads may hold anything."""
    for key, value in config.items():
        if (needed := _needed(key, value)) is not None:
            shown = json.dumps(value)
            shown = shown if len(shown) <= 40 else f"{shown[:40]}..."
            raise UserError(f'{file}: "{key}" is {shown}, but must be {needed}.')
        if key in _ACTIVATIONS and value != "gelu":
            from transformers.activations import ACT2FN  # Slow to import, and hardly ever needed.

            if value not in ACT2FN:
                raise unknown("activation", value, ACT2FN, where=f'"{key}" of {file}')
    if config.get("is_decoder") or config.get("add_cross_attention"):
        raise UserError(f"{file} describes a decoder; an encoder is needed.")
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise UserError(
            f"{file} describes relative positions of an old kind; absolute ones are needed."
        )


def _needed(key: str, value: Any) -> str | None:
    """What a key's value must be, in words; None where it is."""
    if key in _LAYERS:
        return _whole(value, 1, _MOST_LAYERS)
    if key in _SIZES:
        return _whole(value, 1, _MOST)
    if key in _COUNTS:
        return _whole(value, 0, _MOST)
    if key in _LIMITS:
        return _whole(value, -1, _MOST)
    if key.endswith("_token_id"):
        return None if value is None else _whole(value, 0, _MOST)
    if "dropout" in key:
        return None if value is None else _number(value, 0, 1)
    if key in _SMALL_NUMBERS:
        return _number(value, 0, 1000)
    if key in _SWITCHES:
        return None if isinstance(value, bool) else "true or false"
    if key in (*_ACTIVATIONS, *_OTHER_TEXTS):
        return None if isinstance(value, str) else "text"
    return None


def _whole(value: Any, low: int, high: int) -> str | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    return None if fits else f"a whole number from {low} to {high}"


def _number(value: Any, low: float, high: float) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = number and math.isfinite(value) and low <= value <= high
    return None if fits else f"a number from {low} to {high}"
