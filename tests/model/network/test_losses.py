"""The weights of the tasks' losses."""

from __future__ import annotations

from typing import Any

from model.network.loss_weighting import loss_weights
from model.tasks.shipped import ALL_TASKS, PARA, SST, STS
from spaces import Config, factors
from spaces.domains import Simplex


def weights(**changes: Any) -> dict[str, float]:
    return loss_weights(Config(**changes), ALL_TASKS)


def test_report_gives_half_to_sentiment_and_a_quarter_to_each_pair_task() -> None:
    assert weights(loss_weighting="report") == {"sst": 0.5, "para": 0.25, "sts": 0.25}


def test_reports_weights_follow_their_tasks_in_any_order() -> None:
    config = Config(loss_weighting="report")
    assert loss_weights(config, [STS, PARA, SST])["sst"] == 0.5


def test_tuned_weights_are_those_of_the_configuration() -> None:
    tuned = weights(loss_weighting="tuned", loss_weights=(0.2, 0.3, 0.5))
    assert tuned == {"sst": 0.2, "para": 0.3, "sts": 0.5}


def test_equal_weights_are_the_centre_of_the_simplex_to_the_bit() -> None:
    simplex = factors()["loss_weights"].domain
    assert isinstance(simplex, Simplex)
    tuned = weights(loss_weighting="tuned", loss_weights=simplex.centre)
    assert weights(loss_weighting="equal") == tuned


def test_weights_sum_to_one() -> None:
    for weighting in ("equal", "report", "tuned"):
        assert abs(sum(weights(loss_weighting=weighting).values()) - 1) < 1e-12
