"""LoRA (Hu et al. 2021, arXiv 2106.09685): a trained product of two thin matrices beside each map.

With W a linear map's pretrained matrix, which stays as it is, the map becomes

    W x + (16 / rank) B A x,        A (rank, in) random, B (out, rank) zero at the start,

so that at first nothing changes. All linear maps of the layers are adapted (Dettmers et al. 2023,
arXiv 2305.14314, 4: it takes all of them to reach full fine-tuning); 16 is the paper's alpha for
RoBERTa large (its table 9). Our encoder has query, key and value in one map, which share one A.
"""

from __future__ import annotations

from torch import nn

from model.encoder.packed_encoder import PackedEncoder

_ALPHA = 16


def add_lora(encoder: PackedEncoder, rank: int) -> None:
    """Freeze an encoder and adapt its layers; A comes from torch's generator."""
    from peft import LoraConfig, inject_adapter_in_model  # Slow to import, and often not needed.

    encoder.requires_grad_(False)
    layers = encoder.layers
    maps = [name for name, module in layers.named_modules() if isinstance(module, nn.Linear)]
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=_ALPHA, target_modules=maps), layers)
