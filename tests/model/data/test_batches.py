"""What an epoch draws, and that several processes share it without changing it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from model.data.batches import Batch, epoch_batches
from model.data.corpus import EXTRA, TRAIN, Corpus
from model.data.sampling import Sampling, draw
from model.tasks.shipped import ALL_TASKS
from spaces import Config, UserError

CPU = torch.device("cpu")


def batches(
    config: Config, corpus: Corpus, epoch: int = 1, process: int = 0, processes: int = 1
) -> list[Batch]:
    return list(epoch_batches(config, ALL_TASKS, corpus, epoch, CPU, process, processes))


def examples_of(batch: Batch) -> list[tuple[object, ...]]:
    """Each example as its task, label, Jaccard similarity and sentences."""
    sentences = [
        tuple(s.tolist()) for s in batch.sentences.tokens.split(list(batch.sentences.lengths))
    ]
    found: list[tuple[object, ...]] = []
    for task in ALL_TASKS:
        part = batch.tasks[task.name]
        count = len(part.labels)
        columns = [[sentences.pop(0) for _ in range(count)] for _ in range(task.sentences)]
        numbers = part.labels.tolist(), part.jaccard.tolist()
        rows = zip(*numbers, *columns, strict=True)
        found += [(task.name, *row) for row in rows]
    assert not sentences
    return found


def labels(config: Config, corpus: Corpus, task: str = "sts", epoch: int = 1) -> list[float]:
    """The labels of a task in the order of an epoch."""
    made = batches(config, corpus, epoch)
    return [label for batch in made for label in batch.tasks[task].labels.tolist()]


def test_batches_hold_the_examples_of_the_corpus(corpus: Corpus, tiny: Config) -> None:
    known: set[tuple[object, ...]] = set()
    for task in ALL_TASKS:
        split = corpus.splits[task.name][TRAIN]
        columns = [split.first] if split.second is None else [split.first, split.second]
        for row in range(len(split)):
            texts = [tuple(corpus.sentence(int(c[row]), tiny.max_length).tolist()) for c in columns]
            known.add((task.name, float(split.labels[row]), float(split.jaccard[row]), *texts))
    seen = [example for batch in batches(tiny, corpus) for example in examples_of(batch)]
    assert len(seen) == 3 * tiny.samples_per_epoch
    assert set(seen) <= known


@pytest.mark.parametrize(("samples", "size"), [(32, 8), (13, 5), (11, 4), (7, 64), (150, 40)])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_together_see_the_batches_of_one(
    corpus: Corpus, tiny: Config, samples: int, size: int, processes: int
) -> None:
    config = tiny.replace(samples_per_epoch=samples, batch_size=size)
    alone = batches(config, corpus)
    parts = [batches(config, corpus, 1, process, processes) for process in range(processes)]
    assert len(alone) == Sampling.of(config, ALL_TASKS, corpus).updates_per_epoch
    for update, whole in enumerate(alone):
        shares = [examples_of(part[update]) for part in parts]
        together = [example for share in shares for example in share]
        assert Counter(together) == Counter(examples_of(whole))
        assert max(map(len, shares)) - min(map(len, shares)) <= len(ALL_TASKS)
        for task in ALL_TASKS:
            count = len(whole.tasks[task.name].labels)
            assert {part[update].tasks[task.name].total for part in parts} == {count}


@pytest.mark.parametrize(("samples", "size", "updates"), [(32, 8, 4), (13, 5, 3), (7, 64, 1)])
def test_updates_take_about_batch_size_examples_and_all_samples(
    corpus: Corpus, tiny: Config, samples: int, size: int, updates: int
) -> None:
    config = tiny.replace(samples_per_epoch=samples, batch_size=size)
    totals = [batch.tasks["sst"].total for batch in batches(config, corpus)]
    assert len(totals) == updates == Sampling.of(config, ALL_TASKS, corpus).updates_per_epoch
    assert sum(totals) == samples
    assert max(totals) - min(totals) <= 1


@pytest.mark.parametrize("first", [1, 3, 4])
def test_an_epoch_can_be_taken_up_at_any_update(corpus: Corpus, tiny: Config, first: int) -> None:
    whole = [examples_of(batch) for batch in batches(tiny, corpus)]
    later = epoch_batches(tiny, ALL_TASKS, corpus, 1, CPU, first=first)
    assert [examples_of(batch) for batch in later] == whole[first:]


@pytest.mark.parametrize(("samples", "size", "most"), [(32, 8, 8), (13, 5, 4), (3, 64, 3)])
def test_more_processes_than_examples_of_an_update_are_refused(
    tiny: Config, corpus: Corpus, samples: int, size: int, most: int
) -> None:
    config = tiny.replace(samples_per_epoch=samples, batch_size=size)
    sampling = Sampling.of(config, ALL_TASKS, corpus)
    sampling.check_processes(most)
    for process in range(most):
        assert all(len(b.sentences.lengths) for b in batches(config, corpus, 1, process, most))
    with pytest.raises(UserError, match=f"updates of {most} examples .* for {most + 1} processes"):
        sampling.check_processes(most + 1)


def test_draw_depends_on_seed_epoch_and_task(corpus: Corpus, tiny: Config) -> None:
    config = tiny.replace(samples_per_epoch=96)
    usual = labels(config, corpus)
    assert labels(config, corpus) == usual
    assert labels(config.replace(seed=1), corpus) != usual
    assert labels(config, corpus, epoch=2) != usual
    split = {name: corpus.splits[name][TRAIN].labels for name in ("para", "sts")}
    orders = []
    for name in split:
        drawn = labels(config, corpus, name)
        assert sorted(drawn) == sorted(split[name].tolist())
        first = [draw(96, 96, (0, 1, number)) for number in range(3)]
        orders.append([np.array_equal(split[name][order], drawn) for order in first])
    assert orders[0].index(True) != orders[1].index(True)


def test_draw_depends_on_nothing_else(corpus: Corpus, tiny: Config) -> None:
    usual = labels(tiny, corpus)
    changes: list[dict[str, object]] = [
        {"batch_size": 5},
        {"max_length": 9},
        {"pooling": "cls"},
        {"head": "linear"},
        {"epochs": 7},
        {"dropout": 0.0},
    ]
    for change in changes:
        assert labels(tiny.replace(**change), corpus) == usual


def test_sentences_are_cut_to_the_longest_allowed(corpus: Corpus, tiny: Config) -> None:
    for max_length in (6, 11):
        made = batches(tiny.replace(max_length=max_length), corpus)
        assert max(batch.sentences.lengths.max() for batch in made) == max_length


def test_extra_examples_are_drawn_where_asked_for(corpus: Corpus, tiny: Config) -> None:
    extra = {
        tuple(corpus.sentence(int(number), tiny.max_length).tolist())
        for splits in corpus.splits.values()
        if EXTRA in splits
        for number in splits[EXTRA].sentences()
    }

    def from_extra(config: Config) -> set[object]:
        examples = [e for batch in batches(config, corpus) for e in examples_of(batch)]
        return {task for task, _, _, *texts in examples if extra & set(texts)}

    assert from_extra(tiny) == set()
    assert from_extra(tiny.replace(extra_data=True)) == {"sst", "sts"}
