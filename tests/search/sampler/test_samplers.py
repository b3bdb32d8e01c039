"""The samplers, on a journal: what TPE proposes, and that a Gaussian process learns."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import TrialState

from search.ledger.ledger import Ledger
from search.ledger.search_journal import SearchJournal
from search.sampler.samplers import parzen_estimators
from search.trials.distributions import suggest
from search.trials.study_folder import StudyFolder
from spaces import Space, parse_study

SPACE = Space.parse(
    {
        "pooling": ["mean", "cls", "max"],
        "loss_weighting": ["equal", "tuned"],
        "loss_weights": "free",
        "trainable_layers": ["all", 2, "none"],
        "encoder_learning_rate": "free",
        "layer_decay": "free",
        "warmup": {"low": 0.0, "high": 0.5},
        "batch_size": {"low": 8, "high": 64},
        "jaccard": [True],
    },
    "here",
)


def stock(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def proposed(file: Path, sampler: Callable[[int], BaseSampler], trials: int) -> list[Any]:
    """What a study of trials of all ends gets, three of them open at any time."""
    study = optuna.create_study(storage=SearchJournal(file), direction="maximize")
    draw, found, running = random.Random(0), [], []
    for number in range(trials):
        study.sampler = sampler(number)
        trial = study.ask()
        found.append(suggest(trial, SPACE))
        running.append(trial)
        if len(running) > 3:
            ended = running.pop(draw.randrange(3))
            for step in range(1, draw.randint(1, 4)):
                ended.report(draw.random(), step)
            state = draw.choice([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
            value = draw.random() if state == TrialState.COMPLETE else None
            study.tell(ended, value, state)
    return found


def test_tpe_proposes_what_optuna_s_does(tmp_path: Path) -> None:
    ours = proposed(tmp_path / "ours", parzen_estimators().seeded, 60)
    assert ours == proposed(tmp_path / "stock", stock, 60)
    assert len({str(values) for values in ours}) == 60


SEARCHED = {
    "warmup": {"low": 0.0, "high": 0.5},
    "loss_weighting": ["equal", "tuned"],
    "loss_weights": "free",
}


def run(path: Path, trials: int, sampler: str, scheduler: str) -> list[float]:
    """The warm-ups that a search proposes where 0.4 is best, and where few trials get far."""
    search = {"sampler": sampler, "scheduler": scheduler, "trials": trials, "seed": 1}
    study = parse_study({"space": {"epochs": 9, **SEARCHED}, "search": search}, "s", "s")
    folder = StudyFolder(path)
    folder.open(study)
    ledger = Ledger(study, folder)
    while trial := ledger.next():
        ledger.start(trial.id)
        for epoch in range(1, 10):
            score = 0.9 - abs(trial.values["warmup"] - 0.4)
            if epoch not in trial.scores and not ledger.report(trial.id, epoch, score):
                break
        ledger.end(trial.id)
    ledger.close()
    return [record.values["warmup"] for record in ledger.records.values()]


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["asha", "promotion"])
def test_a_gaussian_process_learns_where_few_trials_complete(
    tmp_path: Path, scheduler: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also in a space with a conditional factor, and without a word on the terminal. One in five
    of what chance proposes is as near."""
    found = run(tmp_path / "gp", 24, "gp", scheduler)
    late = found[10:]
    assert sum(abs(warmup - 0.4) < 0.05 for warmup in late) >= 6, found
    assert capfd.readouterr() == ("", "")
