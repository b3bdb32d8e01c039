"""A trial ends itself where its objective no longer gets better, and only if told to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.training.early_stopping import has_stalled
from spaces import Config

Fit = Any  # conftest's


@pytest.mark.parametrize(
    ("scores", "patience", "expected"),
    [
        ([], 1, False),
        ([0.5], 1, False),
        ([0.5, 0.6], 1, False),
        ([0.5, 0.4], 1, True),
        ([0.5, 0.5], 1, True),  # as good is not better
        ([0.5, 0.4], 2, False),
        ([0.5, 0.4, 0.45], 2, True),  # better than the last one is not better
        ([0.5, 0.4, 0.6, 0.5], 2, False),
        ([0.5, 0.4, 0.6, 0.5, 0.6], 2, True),
    ],
)
def test_patience_by_hand(scores: list[float], patience: int, expected: bool) -> None:
    assert has_stalled(scores, patience) == expected


@given(st.lists(st.floats(0, 1)))
def test_without_patience_nothing_ends(scores: list[float]) -> None:
    assert not has_stalled(scores, 0)


@pytest.fixture
def restless(tiny: Config) -> Config:
    """Learns too fast to get better with every epoch."""
    return tiny.replace(epochs=8, schedule="constant")


def test_a_trial_ends_at_its_first_stall_and_keeps_its_best(fit: Fit, restless: Config) -> None:
    whole = fit(restless)
    for patience in (1, 2):
        run = fit(restless.replace(early_stopping=patience))
        scores = [metrics["score/mean"] for _, metrics in whole.reports]
        stall = next(n for n in range(1, 8) if has_stalled(scores[:n], patience))
        assert run.reports == whole.reports[:stall]
        assert run.trained.epoch == stall < 8
        assert run.trained.best_epoch == stall - patience
        assert run.trained.best_score == max(scores[:stall])


def test_evaluations_inside_an_epoch_do_not_count(fit: Fit, restless: Config) -> None:
    config = restless.replace(early_stopping=1)
    plain = fit(config)
    watched = fit(config, report_at=(0.25, 0.5, 1.25, 1.5, 2.5))
    assert watched.trained.epoch == plain.trained.epoch
    assert [row for row in watched.reports if row[0] in dict(plain.reports)] == plain.reports


def test_a_trial_that_was_interrupted_ends_where_it_would_have(fit: Fit, restless: Config) -> None:
    config = restless.replace(early_stopping=1)
    whole = fit(config)
    run = fit(config, stop_after=1)
    resumed = fit(config, run.folder)
    assert run.reports[:-1] + resumed.reports == whole.reports
    again = fit(config, run.folder)  # Nothing is left to do.
    assert again.reports == whole.reports[-1:]
    assert again.trained == resumed.trained
