"""The networks on top of the sentence embeddings.

A head sees the embeddings of the sentences of its tasks and gives, per task, what the task's loss
takes: logits, or scores on the labels' own scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.batch_norm import BatchNorm
from model.tasks import Task
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
    """One task on single sentences."""

    def __init__(self, config: Config, hidden: int, task: Task) -> None:
        super().__init__()
        self.task = task
        self.network = _network(config, hidden, task.outputs)

    def forward(self, inputs: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        embeddings, _ = inputs[self.task.name]
        return {self.task.name: self.network(embeddings)}


class PairHead(nn.Module):
    """One network for one or several tasks on pairs.

    It sees the difference of the two embeddings, or its absolute value, and, where asked for, the
    Jaccard similarity as one more feature (report, figure 1). Its one output is a logit, or,
    through a sigmoid, a score from 0 to the task's scale (report, 4.2.3). The examples of all its
    tasks pass it together, so that its batch normalisation sees in training the mixture that it
    sees in evaluation.
    """

    def __init__(self, config: Config, hidden: int, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.jaccard = config.jaccard
        self.absolute = config.pair_features == "absolute difference"
        self.network = _network(config, hidden + config.jaccard, 1)

    def forward(self, inputs: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        features = [self._features(*inputs[task.name]) for task in self.tasks]
        counts = [len(part) for part in features]
        outputs = self.network(torch.cat(features)).split(counts)
        return {t.name: _scaled(t, output) for t, output in zip(self.tasks, outputs, strict=True)}

    def _features(self, embeddings: Tensor, jaccard: Tensor) -> Tensor:
        first, second = embeddings.chunk(2)  # (pairs, hidden)
        difference = first - second
        features = difference.abs() if self.absolute else difference
        return _with_jaccard(features, jaccard, self.jaccard)


class CosineHead(nn.Module):
    """A linear transform of the two embeddings' cosine (report, 4.1: the baseline's similarity)."""

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__()
        self.task = task
        self.jaccard = config.jaccard
        self.network = nn.Linear(1 + config.jaccard, 1)

    def forward(self, inputs: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        embeddings, jaccard = inputs[self.task.name]
        first, second = embeddings.chunk(2)  # (pairs, hidden)
        cosine = F.cosine_similarity(first, second).unsqueeze(1)  # (pairs, 1)
        return {self.task.name: self.network(_with_jaccard(cosine, jaccard, self.jaccard))}


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
        baseline = config.head == "linear" and task.scale is not None
        heads[task.name] = (
            CosineHead(config, task) if baseline else PairHead(config, hidden, [task])
        )
    return nn.ModuleDict(heads)
