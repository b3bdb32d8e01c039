"""AdamW with the learning rates of a configuration."""

from __future__ import annotations

from torch import nn, optim

from model.network import Network
from spaces import Config


def build_optimizer(config: Config, network: Network) -> optim.AdamW:
    """AdamW over what is trainable; each group keeps its peak rate under "peak"."""
    groups = []
    for module, rate in (
        (network.encoder, config.encoder_learning_rate),
        (network.heads, config.head_learning_rate),
    ):
        for decayed in (True, False):
            parameters = _trainable(module, decayed)
            decay = config.weight_decay if decayed else 0.0
            if parameters:
                groups.append(
                    {"params": parameters, "lr": rate, "peak": rate, "weight_decay": decay}
                )
    return optim.AdamW(groups, fused=True)


def _trainable(module: nn.Module, matrices: bool) -> list[nn.Parameter]:
    return [p for p in module.parameters() if p.requires_grad and (p.ndim >= 2) == matrices]


def set_learning_rates(
    optimizer: optim.Optimizer, config: Config, update: int, updates: int
) -> None:
    """The rates of an update (from 0) out of all the updates of a full budget."""
    factor = rate_factor(config, update, updates)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def rate_factor(config: Config, update: int, updates: int) -> float:
    """The share of the peak rate: a linear rise over the warm-up, then as `schedule` says."""
    warmup = round(config.warmup * updates)
    if update < warmup:
        return (update + 1) / warmup
    if config.schedule == "constant":
        return 1.0
    return (updates - update) / max(1, updates - warmup)
