"""The Gaussian process over configurations and epochs."""

from __future__ import annotations

import numpy as np
import pytest

from search.sampler.curve_model import CurveModel, Observations, _Posterior, _prior, fitted

GROUPS = np.array([0, 1, 2, 2])
RUNGS = np.array([-2.0, -1.0, 0.0])


def worth(features: np.ndarray) -> np.ndarray:
    """At the full budget; the first factor matters."""
    return np.asarray(0.6 - 0.2 * (features[..., 0] - 0.7) ** 2 + 0.02 * features[..., 2])


def observed(count: int, random: np.random.Generator, offset: float = 0.002) -> Observations:
    """Of so many runs the scores at the first rung, of a half also at the second, of a quarter to
    the end. Every curve rises; the better ones show it from the first rung on."""
    x = random.random((count, 4))
    moved = offset * random.standard_normal(count)
    rows = [(run, t) for run in range(count) for t in RUNGS[: 1 + (run % 2) + (run % 4 == 3)]]
    runs, times = np.array([run for run, _ in rows]), np.array([time for _, time in rows])
    share = 1 + 0.3 * times / 2
    scores = share * worth(x[runs]) + moved[runs] + 0.001 * random.standard_normal(len(rows))
    return Observations(x[runs], times, runs, scores)


def test_the_gradient_is_that_of_the_posterior() -> None:
    random = np.random.default_rng(0)
    posterior = _Posterior(observed(12, random), GROUPS, _prior(3))
    at = posterior.prior.mean + 0.5 * random.standard_normal(len(posterior.prior.mean))
    _, gradient = posterior(at)
    for place, slope in enumerate(gradient):
        step = 1e-5 * np.eye(len(at))[place]
        numeric = (posterior(at + step)[0] - posterior(at - step)[0]) / 2e-5
        assert slope == pytest.approx(numeric, rel=1e-4, abs=1e-5)


def test_it_foretells_the_full_budget_from_the_rungs() -> None:
    random = np.random.default_rng(1)
    seen = observed(40, random)
    model = CurveModel(seen, GROUPS, fitted(seen, GROUPS))
    x = random.random((200, 4))
    mean, deviation = model.predict(x)
    off = mean - worth(x)
    assert np.sqrt((off**2).mean()) < 0.01  # the scores at the first rung are 0.15 lower
    assert np.mean(np.abs(off) < 2 * deviation) > 0.8
    assert model.covariance(x).diagonal() == pytest.approx(deviation**2, abs=1e-9)


def test_epochs_of_one_run_say_less_than_runs() -> None:
    """A seed moves a whole curve: the mean of three epochs of one run holds its offset."""
    random = np.random.default_rng(2)
    seen = observed(40, random, offset=0.02)
    given = fitted(seen, GROUPS)
    assert given.offset > 3 * given.noise
    at = np.full((3, 4), 0.5)
    epochs = Observations(at, np.array([0.0, -0.01, -0.02]), np.zeros(3), np.array([0.5, 0.6, 0.7]))
    runs = Observations(at, epochs.times, np.arange(3), epochs.scores)
    _, of_one = CurveModel(epochs, GROUPS, given).predict(at[:1])
    _, of_three = CurveModel(runs, GROUPS, given).predict(at[:1])
    assert of_three[0] < of_one[0]


def test_equal_scores_are_no_trouble() -> None:
    seen = Observations(np.ones((5, 4)), np.full(5, -1.0), np.arange(5), np.full(5, 0.4))
    mean, deviation = CurveModel(seen, GROUPS, fitted(seen, GROUPS)).predict(np.zeros((1, 4)))
    assert mean[0] == pytest.approx(0.4)
    assert np.isfinite(deviation[0])
