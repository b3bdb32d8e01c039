"""What a trial's training costs beside that of others, counted from its configuration alone.

The unit is one forward pass of one example, all its sentences, through the whole encoder. A
backward pass is twice a forward one, half of it for the gradients of the weights and half for those
of the activations (Kaplan et al. 2020, 2.1), and reaches as deep as something is trained. It is a
measure for comparing configurations, not seconds: those are measured (`search.forecast.timing`) for
some configurations, and for the others follow from how their work compares with that of the
measured.
"""

from __future__ import annotations

from spaces import Config

_HEADS = 0.01
_OPTIMIZER = 36.0  # AdamW of the whole encoder, once an update: it waits for memory, not products
_LORA_WEIGHTS = 0.1  # the gradients of two thin matrices, beside those of the whole ones


COSTLY = (
    "pooling",
    "pair_encoding",
    "sampling",
    "extra_data",
    "trainable_layers",
    "lora_rank",
    "gradient_surgery",
    "smart",
    "smart_steps",
    "bregman",
    "batch_size",
    "max_length",
)
"""The factors on which it depends what an example costs."""


def embeds_once(config: Config) -> bool:
    """Whether every sequence is embedded once and for all, and then only heads are trained."""
    return config.trainable_layers == "none" and config.pooling != "attention"


def embedding_kind(config: Config) -> tuple[object, ...]:
    """What of a configuration decides an embedding by a frozen encoder: trials that agree in it
    share the file of `FrozenEmbeddings`."""
    return config.pooling, config.pooled_layers, config.max_length, config.pair_encoding


def work_kind(config: Config) -> tuple[object, ...]:
    """The kind of a configuration: examples of two configurations of one kind cost the same, or
    nearly so."""
    active = config.active()
    values = {name: active.get(name) for name in COSTLY}
    pcgrad = active.get("gradient_surgery") == "pcgrad"
    values["shared_pair_head"] = pcgrad and config.shared_pair_head
    values["pooling"] = config.pooling == "attention"
    values["lora_rank"] = bool(values["lora_rank"])
    for name in ("batch_size", "max_length"):
        values[name] = config.values()[name].bit_length()
    return tuple(values.values())


def epoch_work(config: Config, layers: int, examples: float, updates: float) -> float:
    """The work of an epoch of so many examples, of all tasks together, in so many updates.

    `layers` are the encoder's.
    """
    trained = _trained_share(config, layers)
    return examples * example_work(config, layers) + updates * _OPTIMIZER * trained


def example_work(config: Config, layers: int) -> float:
    """The passes of one example in one update; a mean over the epochs where they differ."""
    if embeds_once(config):
        return _HEADS
    active = config.active()
    share = _trained_share(config, layers, depth=True)
    weights = _LORA_WEIGHTS if active.get("lora_rank") else 1.0
    forward, backward = 1.0, share * (1.0 + weights)
    total = forward + backward
    if active.get("gradient_surgery") == "pcgrad":
        # A task's pass meets all examples that share its head: of 5 sentences in 3 tasks, 2 twice.
        total += 0.8 * backward if active.get("shared_pair_head") else 0.0
    if active.get("smart") and config.smart_weight > 0:
        # Each step climbs to the word embeddings, whatever is trained.
        total += config.smart_steps * (forward + 1.0) + forward + backward
    if config.bregman and config.bregman_weight > 0:
        total += forward
    return total + _HEADS


def _trained_share(config: Config, layers: int, depth: bool = False) -> float:
    """The share of the encoder that is trained, a mean over the epochs: of its weights, or, with
    `depth`, of its layers that a gradient passes through."""
    active = config.active()
    if config.trainable_layers == "none":
        return 0.0
    if active.get("lora_rank"):
        return 1.0 if depth else 0.01
    top = layers if config.trainable_layers == "all" else int(config.trainable_layers)
    if active.get("unfreezing") != "gradual":
        return min(top, layers) / layers
    return sum(min(top, epoch, layers) for epoch in range(1, config.epochs + 1)) / (
        layers * config.epochs
    )
