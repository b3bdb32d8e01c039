"""The networks on top of the sentence embeddings.

A head sees the embeddings of the sentences of its tasks and gives, per task that is there, what the
task's loss takes: logits, or scores on the labels' own scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.layers.batch_norm import BatchNorm
from model.tasks.task import Task
from spaces import Config


class FeedForward(nn.Module):
    """Linear, batch normalisation, ReLU, dropout, plus the input itself; then a linear output.

    Report, 4.2: "feed-forward networks with skip connections, dropout, batchnorm, and ReLU".
    """

    def __init__(self, features: int, outputs: int, dropout: float) -> None:
        super().__init__()
        # A bias would be normalised away in training, but AdamW would make full steps of the
        # rounding that is its gradient, and the running mean would lag behind it.
        self.inner = nn.Linear(features, features, bias=False)
        self.norm = BatchNorm(features)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(features, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """(examples, features) -> (examples, outputs)"""
        inner = self.dropout(F.relu(self.norm(self.inner(features))))
        result: Tensor = self.output(features + inner)
        return result


def _network(config: Config, features: int, outputs: int) -> nn.Module:
    if config.head == "linear":
        return nn.Linear(features, outputs)
    return FeedForward(features, outputs, config.head_dropout)


class SentenceHead(nn.Module):
    """The head of one task on single sentences."""

    def __init__(self, config: Config, hidden: int, task: Task) -> None:
        super().__init__()
        self.task = task
        self.network = _network(config, hidden, task.outputs)

    def forward(self, inputs: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        if self.task.name not in inputs:
            return {}
        embeddings, _ = inputs[self.task.name]
        return {self.task.name: self.network(embeddings)}


class PairHead(nn.Module):
    """One network for one or several tasks on pairs.

    It sees what `pair_features` makes of the two embeddings, or the one of a pair encoded jointly,
    and, where asked for, the Jaccard similarity as one more feature (report, figure 1). Its one
    output is a logit, or, through a sigmoid, a score from 0 to the task's scale (report, 4.2.3).
    The examples of all its tasks pass it together, so that its batch normalisation sees in training
    the mixture that it sees in evaluation.
    """

    def __init__(self, config: Config, hidden: int, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.jaccard = config.jaccard
        separate = config.pair_encoding == "separate"
        parts, self.features = _PAIR_FEATURES[config.pair_features if separate else "joint"]
        self.network = _network(config, parts * hidden + config.jaccard, 1)

    def forward(self, inputs: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        tasks = [task for task in self.tasks if task.name in inputs]
        if not tasks:
            return {}
        given = [inputs[task.name] for task in tasks]
        features = [_with_jaccard(self.features(e), j, self.jaccard) for e, j in given]
        counts = [len(part) for part in features]
        outputs = self.network(torch.cat(features)).split(counts)
        return {t.name: _scaled(t, output) for t, output in zip(tasks, outputs, strict=True)}


class CosineHead(nn.Module):
    """A linear transform of the two embeddings' cosine (report, 4.1: the baseline's similarity).

    It starts as the cosine stretched to the task's scale: one drawn at random points the wrong way
    in half of all seeds, and pulls the encoder there before it turns.
    """

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__()
        self.task = task
        self.jaccard = config.jaccard
        self.network = nn.Linear(1 + config.jaccard, 1)
        with torch.no_grad():
            self.network.weight.zero_()
            self.network.weight[0, 0] = task.scale or 1.0
            self.network.bias.zero_()

    def forward(self, inputs: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        if self.task.name not in inputs:
            return {}
        embeddings, jaccard = inputs[self.task.name]
        first, second = embeddings.chunk(2)  # (pairs, hidden)
        cosine = F.cosine_similarity(first, second).unsqueeze(1)  # (pairs, 1)
        return {self.task.name: self.network(_with_jaccard(cosine, jaccard, self.jaccard))}


def _joint(embeddings: Tensor) -> Tensor:
    return embeddings


def _difference(embeddings: Tensor) -> Tensor:
    first, second = embeddings.chunk(2)  # (pairs, hidden)
    return first - second


def _absolute_difference(embeddings: Tensor) -> Tensor:
    return _difference(embeddings).abs()


def _concatenation(embeddings: Tensor) -> Tensor:
    """(pairs, 4 * hidden): u, v, |u-v|, u*v (Conneau et al. 2017, 3.1)"""
    first, second = embeddings.chunk(2)  # (pairs, hidden)
    return torch.cat([first, second, (first - second).abs(), first * second], dim=1)


_PAIR_FEATURES: dict[str, tuple[int, Callable[[Tensor], Tensor]]] = {
    "joint": (1, _joint),
    "difference": (1, _difference),
    "absolute difference": (1, _absolute_difference),
    "concatenation": (4, _concatenation),
}
"""How many times the width of an embedding the features have, and how they are made."""


def _with_jaccard(features: Tensor, jaccard: Tensor, wanted: bool) -> Tensor:
    return torch.cat([features, jaccard.unsqueeze(1)], dim=1) if wanted else features


def _scaled(task: Task, outputs: Tensor) -> Tensor:
    return outputs if task.scale is None else outputs.sigmoid() * task.scale


def build_heads(config: Config, hidden: int, tasks: Sequence[Task]) -> nn.ModuleDict:
    """The heads of a configuration, named after their tasks ("para+sts" where shared)."""
    heads: dict[str, nn.Module] = {
        task.name: SentenceHead(config, hidden, task) for task in tasks if task.sentences == 1
    }
    pairs = [task for task in tasks if task.sentences == 2]
    if config.shared_pair_head and pairs:
        heads["+".join(task.name for task in pairs)] = PairHead(config, hidden, pairs)
        return nn.ModuleDict(heads)
    for task in pairs:
        cosine = config.active().get("similarity") == "cosine" and task.scale is not None
        heads[task.name] = CosineHead(config, task) if cosine else PairHead(config, hidden, [task])
    return nn.ModuleDict(heads)
