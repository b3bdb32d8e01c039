"""Losses and metrics, by numbers worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.tasks.metrics import accuracy, pearson
from model.tasks.shipped import ALL_TASKS, PARA, SST, STS
from model.tasks.task import Task, constant_loss
from spaces import TASKS

LOG2, LOG3 = math.log(2), math.log(3)


def test_tasks_are_those_that_the_loss_weights_are_declared_for() -> None:
    assert tuple(task.name for task in ALL_TASKS) == TASKS


def test_sentiments_loss_is_cross_entropy() -> None:
    logits = torch.tensor([[0, LOG2, 0, 0, 0]] * 2)  # probabilities 1/6, 1/3, 1/6, 1/6, 1/6
    losses = SST.loss(logits, torch.tensor([1.0, 4.0]))
    torch.testing.assert_close(losses, torch.tensor([math.log(3), math.log(6)]))


def test_paraphrases_loss_is_binary_cross_entropy_of_a_logit() -> None:
    logits = torch.tensor([[LOG3], [LOG3]])  # a probability of 3/4
    losses = PARA.loss(logits, torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(losses, torch.tensor([math.log(4 / 3), math.log(4)]))


def test_similaritys_loss_is_the_squared_error_on_the_labels_scale() -> None:
    losses = STS.loss(torch.tensor([[3.0], [0.5]]), torch.tensor([5.0, 0.0]))
    assert losses.tolist() == [4.0, 0.25]
    assert STS.scale == 5


def test_predictions_are_classes_and_scores() -> None:
    assert SST.predict(torch.tensor([[0, 1, 5, 2, 3.0], [9, 1, 1, 1, 1]])).tolist() == [2, 0]
    assert PARA.predict(torch.tensor([[-0.1], [0.1]])).tolist() == [False, True]
    assert STS.predict(torch.tensor([[0.25], [4.75]])).tolist() == [0.25, 4.75]


def test_accuracy_is_the_share_of_equal_labels() -> None:
    assert accuracy(np.array([0, 4, 2, 3]), np.array([0, 4, 2, 1], dtype=np.float32)) == 0.75
    assert accuracy(np.array([True, False]), np.array([1, 1], dtype=np.float32)) == 0.5


@pytest.mark.parametrize(("task", "metric"), [(SST, accuracy), (PARA, accuracy), (STS, pearson)])
def test_each_task_has_the_reports_metric(task: Task, metric: object) -> None:
    assert task.metric is metric


def test_correlation_by_hand() -> None:
    # Deviations (-1, 0, 1) and (-1, 1, 0): products sum to 1, squares to 2 and 2.
    assert pearson(np.array([1.0, 2, 3]), np.array([1.0, 3, 2])) == pytest.approx(0.5)


@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 25)), min_size=3, max_size=40).filter(
        lambda pairs: all(len(set(side)) > 1 for side in zip(*pairs, strict=True))
    )
)
def test_correlation_equals_scipys(pairs: list[tuple[int, int]]) -> None:
    predictions, labels = np.array(pairs, dtype=np.float32).T / 5
    expected = scipy.stats.pearsonr(predictions.astype(float), labels.astype(float)).statistic
    assert pearson(predictions, labels) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("constant", [0.0, 0.1, 0.7, 2.3, 5.0])
def test_constant_predictions_have_no_correlation(constant: float) -> None:
    labels = np.linspace(0, 5, 7, dtype=np.float32)
    predictions = np.full(7, constant, dtype=np.float32)
    assert math.isnan(pearson(predictions, labels))
    assert math.isnan(pearson(labels, predictions))
    # What one rounding makes of a number is no difference either.
    predictions[3] = np.nextafter(predictions[3], np.float32(9))
    assert constant == 0 or math.isnan(pearson(predictions, labels))


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_have_no_correlation(count: int) -> None:
    assert math.isnan(pearson(np.ones(count, dtype=np.float32), np.ones(count, dtype=np.float32)))


def test_small_differences_correlate() -> None:
    labels = np.array([1.0, 2, 3], dtype=np.float32)
    assert pearson(2 + labels / 1000, labels) == pytest.approx(1, abs=1e-6)
    assert pearson(np.float32(1e-6) * labels, labels) == pytest.approx(1, abs=1e-6)


def test_divergences_yardstick_is_the_loss_of_knowing_nothing() -> None:
    assert constant_loss(PARA, np.array([0.0, 0, 1, 1])) == pytest.approx(LOG2)
    assert constant_loss(SST, np.array([0.0, 1, 2, 3])) == pytest.approx(math.log(5))
    assert constant_loss(STS, np.array([0.0, 4])) == (2.5**2 + 1.5**2) / 2


@pytest.mark.parametrize("labels", [[2.5, 2.5], [2.2, 2.8], [2.5]])
def test_labels_near_the_scales_middle_count_as_spread_over_it(labels: list[float]) -> None:
    spread = np.linspace(0, 5, 100_001)
    expected = float(np.mean(np.square(spread - 2.5)))
    assert constant_loss(STS, np.array(labels)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("task", ALL_TASKS)
def test_labels_that_do_not_vary_leave_room_for_a_fresh_head(task: Task) -> None:
    assert constant_loss(task, np.ones(4, dtype=np.float32)) > 0.5
