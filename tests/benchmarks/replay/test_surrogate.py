from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks import synthetic_curves
from benchmarks.replay.points import random_point
from benchmarks.replay.recorded_curves import read_curves, replayed_study
from benchmarks.replay.surrogate import Surrogate, measured_noise
from benchmarks.synthetic_curves import Synthetic

STUDY = replayed_study("paper16-continuous", 9, 256)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("curves") / "curves.jsonl"
    synthetic_curves.write(written, STUDY.name, configurations=40, replicates=30, epochs=9, seed=0)
    return written


@pytest.mark.slow
def test_a_surrogate_foretells_what_it_was_not_fitted_to_about_as_well_as_it_says(
    file: Path,
) -> None:
    surrogate = Surrogate(STUDY.space, read_curves(file))
    truth = Synthetic(STUDY.space, 9)
    random = np.random.default_rng(1)
    points = [random_point(STUDY.space, random) for _ in range(100)]
    off = [surrogate.truth(p).scores[-1] - truth.truth(p).scores[-1] for p in points]
    error = math.sqrt(np.mean(np.square(off)))
    assert surrogate.chosen.rmse == min(fit.rmse for fit in surrogate.fits)
    assert error < 2 * surrogate.chosen.rmse
    assert surrogate.chosen.r2 > 0.5
    assert surrogate.truth(points[0]).seconds == pytest.approx(9.0, rel=0.05)


def test_noise_is_measured_where_it_was_put(file: Path) -> None:
    noise = measured_noise(read_curves(file))
    assert noise.evaluation == pytest.approx(Synthetic.noise.evaluation, rel=0.3)
    assert noise.run == pytest.approx(Synthetic.noise.run, abs=0.002)
