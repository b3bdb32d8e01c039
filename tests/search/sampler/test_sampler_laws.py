"""Every sampler keeps the laws of ours; one that takes any space, as Optuna's do, Optuna's too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase

from search.sampler.curve_sampler import CurveSampler
from search.sampler.samplers import ParzenEstimators, parzen_estimators
from spaces import Choice, Space, StudyFile, keys
from spaces.settings import SearchSettings
from tests.search.sampler.sampler_laws import SamplerLaws, inherited


class TestCurveModel(SamplerLaws):
    sampler = "gp"


class TestParzenEstimators(SamplerLaws):
    sampler = "tpe"


class TestChance(SamplerLaws):
    sampler = "random"


class TestGrid(SamplerLaws):
    sampler = "grid"
    takes_endless_spaces = False


def test_every_sampler_has_its_class() -> None:
    declared = keys(SearchSettings)["sampler"].domain
    assert isinstance(declared, Choice)
    tested = {law.sampler for law in SamplerLaws.__subclasses__()}
    assert tested == {*declared.options} - {"auto"}  # which stands for one of these


@inherited()
class TestParzenEstimatorsAsOptunaHasThem(BasicSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: parzen_estimators().seeded(0)


@inherited()
class TestParzenEstimatorsOfOneGroupAsOptunaHasThem(RelativeSamplerTestCase):
    """Optuna's grouped TPE proposes nothing for a space that it was not asked about before."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: ParzenEstimators(multivariate=True, n_startup_trials=1).seeded(0)


@inherited()
class TestCurveModelAsOptunaHasIt(BasicSamplerTestCase):
    """It models its study's own space, and leaves all other parameters to chance."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        space = Space.parse({"warmup": "free"}, "here")
        return lambda: CurveSampler(StudyFile("study", space)).seeded(0)
