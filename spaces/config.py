"""The one declaration of a trial: every factor, once.

From here come Optuna's distributions, the validation of every configuration that enters,
TensorBoard's domains, the grid, the JSON schema of study files and `docs/factors.md`. To add a
factor, add one field here and the code in `model/` that honours it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from spaces.declare import Condition, Key, build, key, keys
from spaces.domains import Choice, Interval, IntInterval, Simplex, Value

TASKS = ("sst", "para", "sts")

_ON_OR_OFF = Choice((False, True))
_LAYERS = ("all", 1, 2, 3, 4, 6, 8, 12, 16, 24)
_REPORT = "Mejia, Harvill and Xue 2023"


@dataclass(frozen=True, kw_only=True)
class Config:
    """One configuration of a trial with its seed. Fields are the factors."""

    pooling: str = key(
        "mean",
        Choice(("mean", "cls", "max")),
        "how the token embeddings of a sentence become its embedding: their mean, the one of "
        "[CLS], or their maximum in each dimension",
        source=f"{_REPORT}, 4.2.1; Reimers and Gurevych 2019",
    )
    head: str = key(
        "feed-forward",
        Choice(("feed-forward", "linear")),
        "the network on top of the embeddings: a feed-forward block with skip connection, "
        "batch normalisation, ReLU and dropout, or one linear layer",
        source=f"{_REPORT}, 4.1 and 4.2",
    )
    pair_features: str = key(
        "absolute difference",
        Choice(("absolute difference", "difference")),
        "what a pair's network sees of the two embeddings; only the absolute difference is the "
        "same whichever sentence comes first",
        source=f"{_REPORT}, 4.1; Reimers and Gurevych 2019",
    )
    shared_pair_head: bool = key(
        True,
        _ON_OR_OFF,
        "one network for paraphrase detection and similarity, or one each",
        source=f"{_REPORT}, 4.2.3",
    )
    jaccard: bool = key(
        True,
        _ON_OR_OFF,
        "the share of common tokens of the two sentences, as one more feature of a pair",
        source=f"{_REPORT}, 4.2.2; Jeyaraj and Kasthurirathna 2021",
    )
    loss_weighting: str = key(
        "report",
        Choice(("equal", "report", "tuned")),
        "the weights of the tasks' losses: equal, the report's 1/2, 1/4, 1/4, or loss_weights",
        source=f"{_REPORT}, 4.2.4",
    )
    loss_weights: tuple[float, ...] = key(
        (0.5, 0.25, 0.25),
        Simplex(TASKS),
        "the weights of the tasks' losses",
        when=Condition("loss_weighting", ("tuned",)),
    )
    extra_data: bool = key(
        False,
        _ON_OR_OFF,
        "Amazon reviews added to the training examples of sst, SICK to those of sts",
        source=f"{_REPORT}, 4.2.7",
    )
    trainable_layers: str | int = key(
        "all",
        Choice((*_LAYERS, "none")),
        "which part of the encoder is trained: all of it, its last k layers, or none",
        source=f"{_REPORT}, 4.2.5; Zhang et al. 2021",
    )
    encoder_learning_rate: float = key(
        5e-5,
        Interval(1e-7, 1e-2, log=True),
        "AdamW's peak learning rate for the encoder",
        source=f"{_REPORT}, 4.2.5",
        when=Condition("trainable_layers", _LAYERS),
    )
    head_learning_rate: float = key(
        1e-3,
        Interval(1e-6, 1e-1, log=True),
        "AdamW's peak learning rate for the heads",
        source=f"{_REPORT}, 4.2.5",
    )
    schedule: str = key(
        "linear",
        Choice(("linear", "constant")),
        "the learning rates after the warm-up: linearly to zero at the last update, or constant",
        source="Devlin et al. 2019, A.3",
    )
    warmup: float = key(
        0.1,
        Interval(0.0, 0.5),
        "the share of all updates over which the learning rates rise linearly from zero",
        source="Devlin et al. 2019, A.3",
    )
    weight_decay: float = key(
        0.01,
        Interval(0.0, 1.0),
        "AdamW's weight decay, on matrices only (not on biases and normalisation)",
        source="Loshchilov and Hutter 2019",
    )
    dropout: float = key(
        0.1,
        Interval(0.0, 0.9),
        "dropout inside the encoder: hidden states and attention",
        source="Devlin et al. 2019, A.2",
    )
    head_dropout: float = key(
        0.1,
        Interval(0.0, 0.9),
        "dropout inside the feed-forward heads",
        source=f"{_REPORT}, 4.2",
        when=Condition("head", ("feed-forward",)),
    )
    batch_size: int = key(
        32,
        IntInterval(2, 1024, log=True),
        "examples of each task in an update, over all processes",
    )
    max_length: int = key(
        128,
        IntInterval(4, 8192, log=True),
        "longest sequence in tokens with [CLS] and [SEP]; what is longer is cut",
    )
    samples_per_epoch: int = key(
        4096,
        IntInterval(2, 10_000_000, log=True),
        "examples of each task drawn at random for an epoch",
        source=f"{_REPORT}, 4.2.6",
    )
    epochs: int = key(
        10,
        IntInterval(1, 10_000),
        "full budget of a trial in epochs",
        searchable=False,
    )
    seed: int = key(
        0,
        IntInterval(0, 2**31 - 1),
        "everything random in a trial comes from it",
    )

    @classmethod
    def of(cls, values: Mapping[str, Value], where: str = "the configuration") -> Config:
        """A configuration from outside.

        Raises:
            UserError: for an unknown factor or a value outside its domain.
        """
        return build(cls, values, where)

    def values(self) -> dict[str, Value]:
        """Every factor's value by name."""
        return {name: getattr(self, name) for name in factors()}

    def active(self) -> dict[str, Value]:
        """The values of the factors whose condition holds: two equal ones train the same."""
        values = self.values()
        return {name: values[name] for name, factor in factors().items() if _holds(factor, values)}

    def replace(self, **changes: Value) -> Config:
        return Config.of({**self.values(), **changes})

    def __post_init__(self) -> None:
        for name, factor in factors().items():
            object.__setattr__(self, name, factor.accept(getattr(self, name), "the configuration"))


@cache
def factors() -> dict[str, Key]:
    """The declared factors by name; a condition names only factors declared before it."""
    return keys(Config)


def _holds(factor: Key, values: Mapping[str, Value]) -> bool:
    """Whether a factor is active: its own condition holds and so does that factor's."""
    if factor.when is None:
        return True
    parent = factors()[factor.when.factor]
    return _holds(parent, values) and factor.when.holds(values)


def is_active(name: str, values: Mapping[str, Value]) -> bool:
    """Whether the factor `name` has an effect under `values`."""
    return _holds(factors()[name], values)
