"""Tiny random encoders of transformers' families, and sentences for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModel

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 34,
    "initializer_range": 0.3,
}
NUMBERS = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "sep_token_id": 2}
RELATIVE = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
CONFIGS: dict[str, dict[str, Any]] = {
    "camembert": {"type_vocab_size": 1},
    "deberta": RELATIVE,
    "deberta-v2": {
        **RELATIVE,
        "position_buckets": 8,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
        "conv_kernel_size": 3,
        "conv_act": "gelu",
    },
    "distilbert": {"hidden_dim": 24},
    "electra": {"embedding_size": 8, "type_vocab_size": 2},
    "modernbert": {"global_attn_every_n_layers": 2, "local_attention": 8, "cls_token_id": 0},
    "mpnet": {},
    "roberta": {"type_vocab_size": 1},
    "xlm-roberta": {"type_vocab_size": 1},
}
LENGTHS = [1, 7, 32, 8, 8, 20, 3, 9, 9, 30]

families = pytest.mark.parametrize("family", CONFIGS)
trained_families = pytest.mark.parametrize(
    "family",
    [pytest.param(f, marks=() if f == "roberta" else pytest.mark.slow) for f in CONFIGS],
)


def save_model(family: str, folder: Path, vocabulary: int = 60) -> Path:
    """A tiny random model, as transformers saves it."""
    changes = {"vocab_size": vocabulary, **SIZES, **NUMBERS, **CONFIGS[family]}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModel.from_config(CONFIG_MAPPING[family](**changes))
    model.save_pretrained(folder)
    return folder


def sentences(lengths: list[int]) -> list[np.ndarray]:
    random = np.random.default_rng(sum(lengths))
    return [random.integers(3, 60, length) for length in lengths]
