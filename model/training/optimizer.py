"""AdamW with the learning rates of a configuration."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn, optim

from model.network.network import Network
from spaces import Config


def build_optimizer(config: Config, network: Network) -> optim.AdamW:
    """AdamW over what is trainable; each group keeps its peak rate under "peak"."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for module, rate in _peak_rates(config, network):
        for parameter in filter(lambda p: p.requires_grad, module.parameters()):
            decay = config.weight_decay if parameter.ndim >= 2 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    return optim.AdamW(
        [
            {"params": parameters, "lr": rate, "peak": rate, "weight_decay": decay}
            for (rate, decay), parameters in groups.items()
        ],
        fused=True,
    )


def _peak_rates(config: Config, network: Network) -> Iterator[tuple[nn.Module, float]]:
    """Every part of the network with its peak learning rate; what is not of the encoder has that of
    the heads.

    The encoder's falls by `layer_decay` from each layer to the one below it, from the lowest one
    to the embeddings too (Howard and Ruder 2018, 3.2: discriminative fine-tuning).
    """
    encoder, rate = network.encoder, config.encoder_learning_rate
    depth = len(encoder.layers)
    yield encoder.embeddings, rate * config.layer_decay**depth
    for number, layer in enumerate(encoder.layers, start=1):
        yield layer, rate * config.layer_decay ** (depth - number)
    for name, part in network.named_children():
        if name != "encoder":
            yield part, config.head_learning_rate


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
