"""The one declaration of a trial: every factor, once.

From here come Optuna's distributions, the validation of every configuration that enters,
TensorBoard's domains, the grid, the JSON schema of study files and `docs/factors.md`. To add a
factor, add one field here and the code in `model/` that honours it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from spaces.declare import Condition, Key, build, key, keys
from spaces.domains import Choice, Interval, IntInterval, Simplex, Value

TASKS = ("sst", "para", "sts")

_ON_OR_OFF = Choice((False, True))
_LAYERS = ("all", 1, 2, 3, 4, 6, 8, 12, 16, 24)
_SEVERAL_LAYERS = tuple(layers for layers in _LAYERS if layers != 1)
_REPORT = "Mejia, Harvill and Xue 2023"
_SMART = "Jiang et al. 2020"


@dataclass(frozen=True, kw_only=True)
class Config:
    """One configuration of a trial with its seed. Fields are the factors."""

    pooling: str = key(
        "mean",
        Choice(("mean", "cls", "max", "attention")),
        "how the token embeddings of a sequence become its embedding: their mean, the one of "
        "[CLS], their maximum in each dimension, or their mean weighted by a softmax of their "
        "products with a learned vector",
        source=f"{_REPORT}, 4.2.1; Reimers and Gurevych 2019; Yang et al. 2016, 2.2",
    )
    pooled_layers: int = key(
        1,
        IntInterval(1, 4),
        "how many of the encoder's last layers a token's embedding is the mean of",
        source="Devlin et al. 2019, 5.3; Li et al. 2020",
    )
    head: str = key(
        "feed-forward",
        Choice(("feed-forward", "linear")),
        "the network on top of the embeddings: a feed-forward block with skip connection, "
        "batch normalisation, ReLU and dropout, or one linear layer",
        source=f"{_REPORT}, 4.1 and 4.2",
    )
    pair_encoding: str = key(
        "separate",
        Choice(("separate", "joint")),
        "how a pair is encoded: two sequences, whose embeddings are compared, or one sequence "
        "[CLS] a [SEP] b [SEP], cut longest first, whose embedding is the pair's",
        source="Reimers and Gurevych 2019; Devlin et al. 2019, 3",
    )
    pair_features: str = key(
        "absolute difference",
        Choice(("absolute difference", "difference", "concatenation")),
        "what a pair's network sees of the two embeddings u and v: |u-v|, which alone is the same "
        "whichever sentence comes first, u-v, or u, v, |u-v| and u*v together",
        source=f"{_REPORT}, 4.1; Reimers and Gurevych 2019; Conneau et al. 2017, 3.1",
        when=Condition("pair_encoding", ("separate",)),
    )
    shared_pair_head: bool = key(
        False,
        _ON_OR_OFF,
        "one network for paraphrase detection and similarity, or one each",
        source=f"{_REPORT}, 4.2.3",
    )
    similarity: str = key(
        "cosine",
        Choice(("head", "cosine")),
        "where the similarity of a pair comes from: its network, or a linear transform of the "
        "cosine of the two embeddings",
        source=f"{_REPORT}, 4.1",
        when=(Condition("pair_encoding", ("separate",)), Condition("shared_pair_head", (False,))),
    )
    jaccard: bool = key(
        True,
        _ON_OR_OFF,
        "the share of common tokens of the two sentences, as one more feature of a pair",
        source=f"{_REPORT}, 4.2.2; Jeyaraj and Kasthurirathna 2021",
    )
    sampling: str = key(
        "balanced",
        Choice(("balanced", "sequential", "proportional", "annealed")),
        "which tasks an update trains: all, on as many examples each; or one, namely each in turn "
        "over all its data, or one drawn in proportion to n^a, where n is the size of its data and "
        "a is 1 (proportional) or falls from 1 in the first epoch to 0.2 in the last (annealed)",
        source=f"{_REPORT}, 4.2.6; Stickland and Murray 2019, 4.1",
    )
    loss_weighting: str = key(
        "report",
        Choice(("equal", "report", "tuned", "uncertainty", "dynamic")),
        "the weights of the tasks' losses: equal, the report's 1/2, 1/4, 1/4, loss_weights, "
        "learned as each task's uncertainty, or by how slowly each loss fell in the last epoch "
        "(dynamic weight average)",
        source=f"{_REPORT}, 4.2.4; Kendall et al. 2018; Liu et al. 2019",
    )
    loss_weights: tuple[float, ...] = key(
        (0.5, 0.25, 0.25),
        Simplex(TASKS),
        "the weights of the tasks' losses",
        when=Condition("loss_weighting", ("tuned",)),
    )
    extra_data: bool | str = key(
        False,
        Choice((False, True, "share")),
        "Amazon reviews added to the training examples of sst, SICK to those of sts: none, all, "
        "each as likely as a training example, or extra_share of what an epoch draws",
        source=f"{_REPORT}, 4.2.7",
    )
    extra_share: float = key(
        0.5,
        Interval(0.0, 1.0),
        "the share of a task's examples in an epoch that are drawn from the extra ones",
        when=Condition("extra_data", ("share",)),
    )
    trainable_layers: str | int = key(
        "all",
        Choice((*_LAYERS, "none")),
        "which part of the encoder is trained: all of it, its last k layers, or none",
        source=f"{_REPORT}, 4.2.5; Zhang et al. 2021",
    )
    lora_rank: int = key(
        0,
        Choice((0, 4, 8, 16, 32)),
        "of the product of two matrices that is trained beside each linear map of the encoder's "
        "layers instead of the encoder itself (LoRA); 0 trains the encoder",
        source="Hu et al. 2021; Dettmers et al. 2023",
        when=Condition("trainable_layers", ("all",)),
    )
    encoder_learning_rate: float = key(
        5e-5,
        Interval(1e-7, 1e-2, log=True),
        "AdamW's peak learning rate for the encoder",
        source=f"{_REPORT}, 4.2.5",
        when=Condition("trainable_layers", _LAYERS),
    )
    layer_decay: float = key(
        1.0,
        Interval(0.6, 1.0),
        "each layer's peak learning rate as a share of that of the layer above it; the top one's "
        "is encoder_learning_rate, the embeddings are the lowest layer",
        source="Howard and Ruder 2018; Sun et al. 2019; Zhang et al. 2021",
        when=Condition("trainable_layers", _SEVERAL_LAYERS),
    )
    unfreezing: str = key(
        "none",
        Choice(("none", "gradual")),
        "whether all that is trained of the encoder is so from the start, or its top layer in the "
        "first epoch and one layer more in each further one, the embeddings with the lowest",
        source="Howard and Ruder 2018",
        when=Condition("trainable_layers", _SEVERAL_LAYERS),
    )
    reinitialized_layers: int = key(
        0,
        IntInterval(0, 6),
        "how many of the encoder's layers, from the top, start from random weights instead of "
        "pretrained ones",
        source="Zhang et al. 2021",
        when=(Condition("trainable_layers", ("all",)), Condition("lora_rank", (0,))),
    )
    gradient_surgery: str = key(
        "none",
        Choice(("none", "pcgrad")),
        "what is done where the gradients of two tasks conflict: nothing, or each loses its part "
        "against the other (PCGrad)",
        source="Yu et al. 2020",
        when=Condition("sampling", ("balanced",)),
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
    smart: bool = key(
        False,
        _ON_OR_OFF,
        "smoothness-inducing adversarial regularisation: the outputs must hardly change under the "
        "worst small change of the word embeddings; an update then costs about three",
        source=f"{_SMART}, 3.1",
        when=Condition("trainable_layers", _LAYERS),
    )
    smart_weight: float = key(
        1.0,
        Interval(0.0, 10.0),
        "what the change of the outputs under that noise is multiplied by and added to each loss",
        source=f"{_SMART}, 3.1",
        when=Condition("smart", (True,)),
    )
    smart_radius: float = key(
        1e-2,
        Interval(1e-7, 1.0, log=True),
        "the most that the noise changes any number of a word embedding by; the paper's 1e-5 is "
        "for fp32, bf16 can hardly tell it from none",
        source=f"{_SMART}, 3.1",
        when=Condition("smart", (True,)),
    )
    smart_noise: float = key(
        1e-3,
        Interval(1e-7, 1.0, log=True),
        "the standard deviation of the noise that the search for the worst starts from",
        source=f"{_SMART}, algorithm 1",
        when=Condition("smart", (True,)),
    )
    smart_step_size: float = key(
        1e-2,
        Interval(1e-7, 1.0, log=True),
        "how far a step of that search changes a word embedding's number at most",
        source=f"{_SMART}, algorithm 1",
        when=Condition("smart", (True,)),
    )
    smart_steps: int = key(
        1,
        IntInterval(1, 10),
        "the steps of that search; each one more costs about two thirds of an update",
        source=f"{_SMART}, algorithm 1",
        when=Condition("smart", (True,)),
    )
    bregman: bool = key(
        False,
        _ON_OR_OFF,
        "Bregman proximal point updates: the outputs must stay near those of a moving average of "
        "the network; an update then costs a third more",
        source=f"{_SMART}, 3.2",
    )
    bregman_weight: float = key(
        1.0,
        Interval(0.0, 10.0),
        "what the distance to the average's outputs is multiplied by and added to each loss",
        source=f"{_SMART}, 3.2",
        when=Condition("bregman", (True,)),
    )
    bregman_momentum: float = key(
        0.999,
        Interval(0.0, 0.9999),
        "the share of the average that an update keeps; at most 0.99 in the first tenth of all "
        "updates",
        source=f"{_SMART}, 3.2 and 4.1; Tarvainen and Valpola 2017",
        when=Condition("bregman", (True,)),
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
        "examples of each task drawn at random for an epoch; where updates draw their task, the "
        "mean over the tasks",
        source=f"{_REPORT}, 4.2.6",
        when=Condition("sampling", ("balanced", "proportional", "annealed")),
    )
    epochs: int = key(
        10,
        IntInterval(1, 10_000),
        "full budget of a trial in epochs",
        searchable=False,
    )
    early_stopping: int = key(
        0,
        IntInterval(0, 100),
        "end the trial after so many epochs in a row that did not better the objective; 0 is never",
        source="Prechelt 1998",
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
    """Whether a factor is active: its own conditions hold and so do those of their factors."""
    return all(
        _holds(factors()[condition.factor], values) and condition.holds(values)
        for condition in factor.when
    )


def is_active(name: str, values: Mapping[str, Value]) -> bool:
    """Whether the factor `name` has an effect under `values`."""
    return _holds(factors()[name], values)


def conditions_on(names: Iterable[str]) -> frozenset[str]:
    """The factors whose values decide whether any of `names` has an effect, directly or through
    others."""
    found: set[str] = set()
    left = list(names)
    while left:
        for condition in factors()[left.pop()].when:
            if condition.factor not in found:
                found.add(condition.factor)
                left.append(condition.factor)
    return frozenset(found)
