"""Recipes that are known to be good: a search tries them first, as far as its space allows."""

from __future__ import annotations

from collections.abc import Mapping

from spaces.domains import Value

REPORT: Mapping[str, Value] = {
    "pooling": "mean",
    "head": "feed-forward",
    "pair_encoding": "separate",
    "pair_features": "difference",
    "shared_pair_head": True,
    "jaccard": True,
    "sampling": "balanced",
    "loss_weighting": "report",
    "extra_data": False,
    "trainable_layers": "all",
    "encoder_learning_rate": 1e-5,
    "head_learning_rate": 1e-3,
    "schedule": "constant",
    "warmup": 0.0,
    "smart": False,
    "samples_per_epoch": 4096,
}
"""The best of the 16 configurations of Mejia, Harvill and Xue 2023, section 5.4, with what holds
for all of them (4.1, 4.2.5, 4.2.6, 5.3)."""
