"""Which budget ends a study, by cases worked out by hand, and that a higher one goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import search.ledger.meter
from search.commands.status import summary
from search.driver.run import run
from search.ledger.budget import since_better, used_up
from search.ledger.ledger import Ledger
from search.ledger.meter import Spent
from search.trials.record import Record, State
from search.trials.study_folder import StudyFolder
from search.trials.tally import Tally
from spaces import StudyFile, UserError, parse_study

NOTHING = Spent()


def study_of(trials: int = 100, epochs: int = 4, **search: Any) -> StudyFile:
    resources = {"price": 2.0} if "cost" in search else {}
    space = {"epochs": epochs, "jaccard": [True, False], "warmup": {"low": 0.0, "high": 0.5}}
    tables = {"space": space, "search": {"trials": trials, **search}, "resources": resources}
    return parse_study(tables, "study", "study")


def ended(number: int, state: State, epoch: int, score: float) -> Record:
    scores = dict.fromkeys(range(1, epoch + 1), score)
    return Record(f"{number:04d}", {}, state, scores, started=0.0, ended=float(number))


def tally_of(*trials: tuple[State, int, float]) -> Tally:
    return Tally(ended(number, *trial) for number, trial in enumerate(trials))


def budget(study: StudyFile, tally: Tally, spent: Spent = NOTHING) -> str | None:
    ending = used_up(study, tally, spent)
    return ending and ending.sentence(0)


DONE = ("completed", 4, 0.5)


def test_each_budget_ends_a_study_at_its_limit_and_not_before() -> None:
    two = tally_of(DONE, ("stopped", 1, 0.3))
    assert budget(study_of(3), two) is None
    assert budget(study_of(2), two) == "Ended by search.trials = 2: 2 trials."
    hours = study_of(hours=0.5)
    assert budget(hours, two, Spent(1799)) is None
    sentence = "Ended by search.hours = 0.5: searches ran for 0.5 hours."
    assert budget(hours, two, Spent(1800)) == sentence
    assert budget(study_of(total_epochs=5.5), two) is None
    sentence = "Ended by search.total_epochs = 5: 5 were trained."
    assert budget(study_of(total_epochs=5), two) == sentence
    cost = study_of(cost=1.5)
    assert budget(cost, two, Spent(9e9, 1.49)) is None
    sentence = "Ended by search.cost = 1.5: 1.5 were spent."
    assert budget(cost, two, Spent(0, 1.5)) == sentence


def test_epochs_of_trials_that_run_count() -> None:
    running = Record("0009", {}, "running", {1: 0.5, 2: 0.5})
    tally = Tally([ended(0, *DONE), running])
    study = study_of(total_epochs=6)
    ending = used_up(study, tally, Spent())
    assert ending is not None
    assert ending.sentence(1) == (
        "No new trial starts, 1 will finish: by search.total_epochs = 6: 6 were trained."
    )


def test_a_grid_ends_when_it_is_whole() -> None:
    tables = {"space": {"jaccard": [True, False]}, "search": {"sampler": "grid", "trials": 9}}
    study = parse_study(tables, "s", "s")
    assert study.trials == 2
    assert budget(study, tally_of(DONE, DONE)) == (
        "Ended by search.trials = 9: 2 trials, every configuration."
    )


def test_patience_counts_full_trainings_since_the_best_was_bettered_by_more_than_noise() -> None:
    study = study_of(patience=2, tolerance=0.01)
    # 4 epochs to the first; then 8 without a better one are 2 trainings' worth.
    stopped: tuple[State, int, float] = ("stopped", 1, 0.9)  # a score at another epoch
    assert budget(study, tally_of(DONE, *[stopped] * 7)) is None
    assert budget(study, tally_of(DONE, *[stopped] * 8)) == (
        "Ended by search.patience = 2: 2 full trainings' worth of epochs did not better 0.5 by "
        "more than 0.01."
    )
    within: tuple[State, int, float] = ("completed", 4, 0.509)
    beyond: tuple[State, int, float] = ("completed", 4, 0.511)
    assert budget(study, tally_of(DONE, stopped, within, ("failed", 3, 0.1))) is not None
    assert budget(study, tally_of(DONE, stopped, beyond, ("failed", 3, 0.1))) is None
    assert budget(study, tally_of(*[stopped] * 50)) is None  # nothing completed, nothing to better


def test_small_steps_that_add_up_are_an_improvement() -> None:
    # 0.500 -> 0.506 is within 0.01, 0.512 is not.
    assert since_better([(4, 0.5), (8, 0.506), (12, 0.512), (16, 0.513)], 0.01) == (0.512, 12)
    assert since_better([], 0.01) == (None, 0.0)


def test_the_order_in_which_records_are_read_changes_nothing() -> None:
    trials = [ended(n, "completed", 4, s) for n, s in enumerate([0.5, 0.6, 0.55, 0.7])]
    assert Tally(reversed(trials)).maxima == Tally(trials).maxima == [(4, 0.5), (8, 0.6), (16, 0.7)]


def test_a_cost_needs_a_price() -> None:
    with pytest.raises(UserError, match=r"search\.cost needs resources\.price"):
        parse_study({"search": {"cost": 3.0}}, "s", "s")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(search.ledger.meter, "time", clock)
    return clock


def opened(study: StudyFile, path: Path) -> Ledger:
    folder = StudyFolder(path)
    folder.open(study)
    return Ledger(study, folder)


def run_one(ledger: Ledger) -> Record:
    trial = ledger.next()
    assert trial is not None
    for epoch in range(1, ledger.study.epochs + 1):
        if not ledger.report(trial.id, epoch, 0.5):
            break
    return ledger.end(trial.id)


def test_hours_are_those_of_all_searches_together(tmp_path: Path, clock: SimpleNamespace) -> None:
    study = study_of(hours=0.5)
    ledger = opened(study, tmp_path)
    begun = ledger.next()
    assert begun is not None
    clock.now += 1000
    run_one(ledger)
    ledger.meter.write()
    clock.now += 1e6  # no search runs

    again = opened(study, tmp_path)
    unfinished = again.next()
    assert unfinished is not None
    assert unfinished.id == begun.id
    clock.now += 799
    run_one(again)
    clock.now += 2
    assert again.next() is None
    ending = again.ending()
    assert ending is not None
    assert ending.budget == "hours"
    again.meter.write()

    raised = opened(study_of(hours=1), tmp_path)
    assert [run_one(raised).id for _ in range(2)] == [begun.id, "0003"]


def test_what_an_earlier_search_began_is_finished_over_budget(
    tmp_path: Path, clock: SimpleNamespace
) -> None:
    study = study_of(hours=0.5)
    begun = opened(study, tmp_path).next()
    assert begun is not None
    again = opened(study, tmp_path)
    clock.now += 1801
    assert run_one(again).id == begun.id
    assert again.next() is None


def test_patience_decides_after_a_restart_as_before_it(tmp_path: Path) -> None:
    study = study_of(patience=1.5, scheduler="none")
    whole = opened(study, tmp_path / "whole")
    while whole.ending() is None:
        run_one(whole)
    assert len(whole.records) == 3  # the first, and 8 epochs, at least 6, that were no better
    while (part := opened(study, tmp_path / "parts")).ending() is None:
        run_one(part)
    assert len(part.records) == 3
    raised = study_of(patience=2.5, scheduler="none")
    assert run_one(opened(raised, tmp_path / "parts")).id == "0003"


def test_a_trial_that_was_running_and_is_better_lets_the_search_go_on(tmp_path: Path) -> None:
    ledger = opened(study_of(patience=1, scheduler="none"), tmp_path)
    late = ledger.next()
    assert late is not None
    for _ in range(2):
        run_one(ledger)
    assert ledger.next() is None
    for epoch in range(1, 5):
        ledger.report(late.id, epoch, 0.8)
    ledger.end(late.id)
    assert ledger.next() is not None


def trivial_train(config: Any, *given: Any, **more: Any) -> None:
    report = given[-1]
    metrics = {"score/mean": 0.5, "seconds": 0.01, "examples_per_second": 9600.0}
    for epoch in range(1, config.epochs + 1):
        report(epoch, metrics, lambda folder: None)


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("key", "value", "higher"),
    [("total_epochs", 6, 9), ("patience", 1.5, 2.5), ("cost", 1e-6, 1e6), ("hours", 1e-6, 100.0)],
)
def test_a_search_ends_by_each_budget_and_goes_on_with_a_higher_one(
    tiny_study: Callable[..., StudyFile], tmp_path: Path, key: str, value: float, higher: float
) -> None:
    folder = StudyFolder(tmp_path / "study")
    space = {"warmup": {"low": 0.0, "high": 0.5}}
    make = partial(tiny_study, space=space, resources={"price": 3600.0, "concurrent": 1})

    def searched(limit: float, trials: int) -> Ledger:
        search = {"trials": trials, "sampler": "random", "scheduler": "none", key: limit}
        study = make(search=search)
        return run(study, folder, quiet=True, training=trivial_train)

    first = searched(value, 5)
    assert {record.state for record in first.records.values()} <= {"completed"}
    assert len(first.records) == {"total_epochs": 2, "patience": 3}.get(key, len(first.records))
    assert len(first.records) < 5
    found = summary(folder.study(), folder, folder.records(folder.study().space))
    assert found["ending"]["budget"] == key
    assert found["ending"]["sentence"].startswith(f"Ended by search.{key} = {value:g}: ")
    assert json.loads(folder.spent.read_text())["seconds"] > 0

    second = searched(higher, len(first.records) + 1)
    assert len(second.records) == len(first.records) + 1
