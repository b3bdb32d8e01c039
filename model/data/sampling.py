"""What the updates of an epoch train on: which tasks, and which of their examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from model.data.corpus import EXTRA, TRAIN, Corpus
from model.tasks.task import Task
from spaces import Config, UserError

Update = Mapping[str, np.ndarray]
"""int64 (examples,) by task: what an update trains on, over all processes. The numbers are those of
`Corpus.training`, where the extra examples come after the others."""


@dataclass(frozen=True)
class Data:
    """How many training examples and how many extra examples a task has; no extra ones where they
    are not used."""

    training: int
    extra: int

    @property
    def size(self) -> int:
        return self.training + self.extra


@dataclass(frozen=True)
class Sampling:
    """The updates of a trial, decided by its configuration and the sizes of its tasks' data."""

    config: Config
    data: Mapping[str, Data]

    @classmethod
    def of(cls, config: Config, tasks: Sequence[Task], corpus: Corpus) -> Sampling:
        """The sampling of a corpus."""
        return cls(config, {task.name: _data(config, corpus, task.name) for task in tasks})

    @property
    def updates_per_epoch(self) -> int:
        """How many updates an epoch has, each of about `batch_size` examples of each of its
        tasks."""
        match self.config.sampling:
            case "balanced":
                return self._updates(self.config.samples_per_epoch)
            case "sequential":
                return sum(self._updates(data.size) for data in self.data.values())
            case _:
                return self._updates(self.config.samples_per_epoch * len(self.data))

    @property
    def examples_per_epoch(self) -> int:
        """How many examples of all tasks together an epoch trains on."""
        if self.config.sampling == "sequential":
            return sum(data.size for data in self.data.values())
        return self.config.samples_per_epoch * len(self.data)

    def updates_until(self, epoch: float) -> int:
        """The updates that `epoch` epochs of training take, at least one."""
        return max(1, round(epoch * self.updates_per_epoch))

    def check_processes(self, processes: int) -> None:
        """Raise UserError if some process would have nothing to do in an update."""
        if self._fewest < processes:
            active = self.config.active()
            given = [n for n in ("batch_size", "samples_per_epoch") if n in active]
            raise UserError(
                f"{', '.join(f'{name} {active[name]}' for name in given)}: updates of "
                f"{self._fewest} examples of each task, too few for {processes} processes."
            )

    def epoch(self, epoch: int) -> list[Update]:
        """The updates of an epoch (from 1), drawn from the seed, the epoch and the task alone.

        Balanced: each update trains all tasks on as many examples (report, 4.2.6). Sequential: all
        data of one task, then all of the next (what the report compares that with). Proportional
        and annealed: each update trains one task, drawn with `probabilities` (Stickland and Murray
        2019, 4.1); an epoch has as many examples as a balanced one.
        """
        match self.config.sampling:
            case "balanced":
                samples, updates = self.config.samples_per_epoch, self.updates_per_epoch
                drawn = [
                    np.array_split(self._draw(name, samples, epoch), updates) for name in self.data
                ]
                return [dict(zip(self.data, p, strict=True)) for p in zip(*drawn, strict=True)]
            case "sequential":
                return [
                    {name: part}
                    for name, data in self.data.items()
                    for part in np.array_split(
                        self._draw(name, data.size, epoch), self._updates(data.size)
                    )
                ]
            case _:
                return self._drawn_tasks(epoch)

    def probabilities(self, epoch: int) -> list[float]:
        """The probability of each task in an update that draws one: in proportion to n^a.

        Annealed sampling has a = 1 - 0.8 (e - 1) / (E - 1) in epoch e of E (Stickland and Murray
        2019, 4.1).
        """
        exponent = 1.0
        if self.config.sampling == "annealed":
            exponent -= 0.8 * (epoch - 1) / max(1, self.config.epochs - 1)
        powers = [data.size**exponent for data in self.data.values()]
        return [power / sum(powers) for power in powers]

    def _drawn_tasks(self, epoch: int) -> list[Update]:
        names, updates = list(self.data), self.updates_per_epoch
        sizes = _sizes(self.config.samples_per_epoch * len(names), updates)
        generator = np.random.default_rng((self.config.seed, epoch, len(names)))
        chosen = generator.choice(len(names), size=updates, p=self.probabilities(epoch))
        parts = []
        for number, name in enumerate(names):
            ends = np.cumsum(sizes[chosen == number])
            drawn = self._draw(name, int(ends[-1]) if len(ends) else 0, epoch)
            parts.append(iter(np.split(drawn, ends[:-1])))
        return [{names[number]: next(parts[number])} for number in chosen]

    def _draw(self, name: str, samples: int, epoch: int) -> np.ndarray:
        """The examples of a task in an epoch, int64 (samples,)."""
        data, seed = self.data[name], (self.config.seed, epoch, list(self.data).index(name))
        if self.config.extra_data != "share" or data.extra == 0:
            return draw(data.size, samples, seed)
        return draw_share(data, samples, self.config.extra_share, seed)

    def _updates(self, samples: int) -> int:
        return max(1, round(samples / self.config.batch_size))

    @cached_property
    def _fewest(self) -> int:
        """The fewest examples of a task in an update that trains it."""
        config, samples = self.config, self.config.samples_per_epoch
        match config.sampling:
            case "balanced":
                totals = [samples]
            case "sequential":
                totals = [data.size for data in self.data.values()]
            case _:
                totals = [samples * len(self.data)]
        return min(total // self._updates(total) for total in totals)


def draw(examples: int, samples: int, seed: Sequence[int]) -> np.ndarray:
    """The numbers of the examples of an epoch: a random subset, in random order.

    int64 (samples,). Where there are fewer examples than samples, each comes as often as any
    other, give or take one: whole permutations and then a part of one.
    """
    generator = np.random.default_rng(seed)
    rounds = max(1, -(-samples // examples))
    return np.concatenate([generator.permutation(examples) for _ in range(rounds)])[:samples]


def draw_share(data: Data, samples: int, share: float, seed: Sequence[int]) -> np.ndarray:
    """As `draw`, but with the given share of extra examples, to the nearest number of them.

    int64 (samples,). The extra examples lie among the others at random; the others are those that
    `draw` gives, in the same order, so that a share of 0 is a draw without extra examples.
    """
    extra = round(share * samples)
    is_extra = np.random.default_rng((*seed, 1)).permutation(samples) < extra  # (samples,)
    chosen = np.empty(samples, dtype=np.int64)
    chosen[~is_extra] = draw(data.training, samples - extra, seed)
    chosen[is_extra] = data.training + draw(data.extra, extra, (*seed, 2))
    return chosen


def _data(config: Config, corpus: Corpus, name: str) -> Data:
    splits = corpus.splits[name]
    extra = len(splits[EXTRA]) if config.extra_data and EXTRA in splits else 0
    return Data(len(splits[TRAIN]), extra)


def _sizes(samples: int, updates: int) -> np.ndarray:
    """int64 (updates,): the examples of each update, as equal as can be."""
    whole, more = divmod(samples, updates)
    return np.full(updates, whole) + (np.arange(updates) < more)
