"""Which tasks and examples the updates of an epoch train on."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.data.batches import epoch_batches
from model.data.corpus import EXTRA, TRAIN, Corpus
from model.data.sampling import Data, Sampling, draw, draw_share
from model.tasks.shipped import ALL_TASKS
from spaces import Config, UserError

DATA = {"sst": Data(80, 20), "para": Data(1000, 0), "sts": Data(50, 10)}
ONE_TASK = ("sequential", "proportional", "annealed")


def config(sampling: str = "balanced", **changes: object) -> Config:
    usual = {"batch_size": 8, "samples_per_epoch": 64, "epochs": 5}
    return Config.of({"sampling": sampling, **usual, **changes})


def met(sampling: Sampling, epoch: int = 1) -> dict[str, np.ndarray]:
    """All examples of an epoch by task, in order."""
    updates = sampling.epoch(epoch)
    return {
        name: np.concatenate([u.get(name, np.empty(0, np.int64)) for u in updates])
        for name in sampling.data
    }


@given(st.integers(1, 60), st.integers(1, 200), st.integers(0, 2**31 - 1))
def test_every_example_comes_as_often_as_any_other(examples: int, samples: int, seed: int) -> None:
    drawn = draw(examples, samples, (seed, 1, 0))
    assert len(drawn) == samples
    assert drawn.dtype == np.int64
    counts = np.bincount(drawn, minlength=examples)
    assert len(counts) == examples
    assert counts.max() - counts.min() <= 1
    if samples <= examples:
        assert counts.max() == 1


def test_draw_is_random_and_decided_by_its_seed() -> None:
    first = draw(1000, 500, (0, 1, 2))
    assert np.array_equal(first, draw(1000, 500, (0, 1, 2)))
    for other in ((1, 1, 2), (0, 2, 2), (0, 1, 1)):
        assert set(first) != set(draw(1000, 500, other))
    assert 400 < first.mean() < 600
    assert not np.array_equal(first, np.sort(first))


def test_second_round_has_an_order_of_its_own() -> None:
    drawn = draw(100, 200, (0, 1, 0))
    assert not np.array_equal(drawn[:100], drawn[100:])


@given(st.integers(1, 300), st.integers(1, 100), st.lists(st.fractions("0.001", 20), min_size=1))
def test_part_of_an_epoch_is_the_nearest_number_of_updates(
    samples: int, size: int, epochs: list[Fraction]
) -> None:
    config = Config(samples_per_epoch=samples + 1, batch_size=size + 1)
    sampling = Sampling(config, DATA)
    whole = sampling.updates_per_epoch
    found = [sampling.updates_until(float(epoch)) for epoch in sorted(epochs)]
    assert found == sorted(found)
    for epoch, updates in zip(sorted(epochs), found, strict=True):
        assert updates >= 1
        assert updates == 1 or abs(updates - epoch * whole) <= Fraction(1, 2) + Fraction("1e-9")
    assert sampling.updates_until(7) == 7 * whole


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 100), st.floats(0, 1))
def test_a_share_of_extra_examples_is_exact(
    training: int, extra: int, samples: int, share: float
) -> None:
    drawn = draw_share(Data(training, extra), samples, share, (0, 1, 0))
    assert len(drawn) == samples
    assert int((drawn >= training).sum()) == round(share * samples)
    counts = np.bincount(drawn, minlength=training + extra)
    for part in (counts[:training], counts[training:]):
        assert part.max() - part.min() <= 1


def test_a_share_of_none_draws_as_without_extra_examples_and_of_all_only_them() -> None:
    data = DATA["sst"]
    assert np.array_equal(draw_share(data, 64, 0.0, (0, 1, 0)), draw(80, 64, (0, 1, 0)))
    assert draw_share(data, 64, 1.0, (0, 1, 0)).min() >= 80


def test_extra_examples_of_a_share_lie_anywhere_in_the_epoch() -> None:
    drawn = draw_share(Data(1000, 1000), 1000, 0.5, (0, 1, 0))
    assert 200 < (drawn[:500] >= 1000).sum() < 300


@pytest.mark.parametrize("sampling", ["balanced", *ONE_TASK])
def test_every_sampling_takes_the_share_of_extra_examples_asked_for(sampling: str) -> None:
    found = met(Sampling(config(sampling, extra_data="share", extra_share=0.25), DATA))
    for name, data in DATA.items():
        extra = int((found[name] >= data.training).sum())
        assert extra == (round(0.25 * len(found[name])) if data.extra else 0)


@pytest.mark.parametrize("extra_data", [False, True])
def test_a_sequential_epoch_meets_every_example_once_one_task_after_another(
    corpus: Corpus, extra_data: bool
) -> None:
    sampling = Sampling.of(config("sequential", extra_data=extra_data), ALL_TASKS, corpus)
    for epoch in (1, 2):
        updates = sampling.epoch(epoch)
        assert len(updates) == sampling.updates_per_epoch
        assert all(len(update) == 1 for update in updates)
        order = [next(iter(update)) for update in updates]
        assert order == sorted(order, key=[task.name for task in ALL_TASKS].index)
        assert all(6 <= len(chosen) <= 10 for update in updates for chosen in update.values())
        for task, chosen in met(sampling, epoch).items():
            splits = corpus.splits[task]
            extra = len(splits[EXTRA]) if extra_data and EXTRA in splits else 0
            assert sorted(chosen) == list(range(len(splits[TRAIN]) + extra))
    assert not np.array_equal(met(sampling, 1)["sst"], met(sampling, 2)["sst"])


@pytest.mark.parametrize("sampling", ["proportional", "annealed"])
def test_updates_of_a_drawn_task_have_together_as_many_examples_as_balanced_ones(
    sampling: str,
) -> None:
    made = Sampling(config(sampling, samples_per_epoch=61), DATA)
    updates = made.epoch(1)
    sizes = [len(chosen) for update in updates for chosen in update.values()]
    assert sum(sizes) == 3 * 61
    assert len(sizes) == len(updates) == made.updates_per_epoch == 23
    assert max(sizes) - min(sizes) <= 1
    for name, chosen in met(made).items():
        assert len(set(chosen)) == min(len(chosen), DATA[name].size)


def test_probabilities_are_in_proportion_to_a_power_of_the_size() -> None:
    """Stickland and Murray 2019, 4.1: a falls from 1 to 0.2 over the epochs."""
    sizes = np.array([100, 1000, 60])
    proportional = Sampling(config("proportional"), DATA)
    annealed = Sampling(config("annealed"), DATA)
    for epoch, power in enumerate((1.0, 0.8, 0.6, 0.4, 0.2), start=1):
        assert proportional.probabilities(epoch) == pytest.approx(sizes / sizes.sum())
        expected = sizes**power / (sizes**power).sum()
        assert annealed.probabilities(epoch) == pytest.approx(expected)
    single = Sampling(config("annealed", epochs=1), DATA)
    assert single.probabilities(1) == proportional.probabilities(1)


def test_tasks_are_drawn_with_their_probabilities_and_anew_in_each_epoch() -> None:
    sampling = Sampling(config("annealed", samples_per_epoch=40_000), DATA)
    for epoch in (1, 5):
        counts = Counter(name for update in sampling.epoch(epoch) for name in update)
        shares = [counts[name] / sampling.updates_per_epoch for name in DATA]
        assert shares == pytest.approx(sampling.probabilities(epoch), abs=0.015)
    first, again, second = (
        [next(iter(update)) for update in sampling.epoch(epoch)] for epoch in (1, 1, 2)
    )
    assert first == again
    assert first != second


@pytest.mark.parametrize("sampling", ONE_TASK)
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_the_batches_of_one_task(
    sampling: str, processes: int, corpus: Corpus, tiny: Config
) -> None:
    changed = tiny.replace(sampling=sampling)
    device = torch.device("cpu")
    alone = list(epoch_batches(changed, ALL_TASKS, corpus, 1, device))
    parts = [
        list(epoch_batches(changed, ALL_TASKS, corpus, 1, device, process, processes))
        for process in range(processes)
    ]
    for update, whole in enumerate(alone):
        ((name, task),) = whole.tasks.items()
        shares = [part[update].tasks[name] for part in parts]
        assert {share.total for share in shares} == {task.total} == {len(task.labels)}
        labels = [label for share in shares for label in share.labels.tolist()]
        assert sorted(labels) == sorted(task.labels.tolist())


def test_too_many_processes_for_the_smallest_update_are_refused() -> None:
    data = {"sst": Data(3, 0), "para": Data(1000, 0)}
    sampling = Sampling(config("sequential"), data)
    sampling.check_processes(3)
    with pytest.raises(UserError, match=r"^batch_size 8: updates of 3 examples .* 4 processes"):
        sampling.check_processes(4)
