"""The ledger on a real journal: told the truth, and the same whether interrupted or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search.ledger.ledger import Ledger
from search.ledger.search_journal import SearchJournal
from search.trials.journal_file import mend_journal, open_journal, read_records
from search.trials.record import Record
from search.trials.study_folder import StudyFolder
from spaces import Config, StudyFile, Value, parse_study

FREE = {
    "pooling": ["mean", "cls", "max"],
    "loss_weighting": ["equal", "tuned"],
    "loss_weights": "free",
    "encoder_learning_rate": {"low": 1e-5, "high": 1e-3},
    "warmup": {"low": 0.0, "high": 0.5},
}
GRID = {"pooling": ["mean", "cls", "max"], "jaccard": [True, False]}


def study_of(space: Mapping[str, Any], epochs: int = 4, **search: Any) -> StudyFile:
    tables = {"space": {"epochs": epochs, **space}, "search": {"sampler": "random", **search}}
    return parse_study(tables, "study", "study")


def score(values: Mapping[str, Value], epoch: int) -> float:
    """Better with warm-up near 0.2 and mean pooling, and with every epoch."""
    pooled = {"mean": 0.1, "cls": 0.0, "max": -0.1}[values.get("pooling", "mean")]
    return pooled - abs(values.get("warmup", 0.1) - 0.2) + 0.01 * epoch


def run_one(ledger: Ledger, trial: Record, until: int | None = None) -> None:
    """Train one trial from where it was left, up to an epoch at which the search is interrupted."""
    ledger.start(trial.id)
    for epoch in range(trial.epoch + 1, ledger.study.epochs + 1):
        if until is not None and epoch > until:
            return
        if not ledger.report(trial.id, epoch, score(trial.values, epoch)):
            break
    ledger.end(trial.id)


def run_all(ledger: Ledger) -> None:
    while trial := ledger.next():
        run_one(ledger, trial)


def started(ledger: Ledger) -> Record:
    trial = ledger.next()
    assert trial is not None
    assert trial.state == "waiting"  # until a worker begins with it
    return trial


def config_of(ledger: Ledger, trial: Record) -> Config:
    return ledger.study.space.config(trial.values)


def metrics(mean: float) -> dict[str, float]:
    return {"score/mean": mean, "score/sts": mean / 2, "seconds": 1.0}


def everything(ledger: Ledger) -> list[tuple[str, Mapping[str, Value], str, dict[int, float]]]:
    return [(r.id, dict(r.values), r.state, r.scores) for r in ledger.records.values()]


@pytest.fixture
def open_ledger(tmp_path: Path) -> Callable[..., Ledger]:
    """A new ledger on the test's one folder, as a restarted search makes it."""

    def make(study: StudyFile, name: str = "folder") -> Ledger:
        folder = StudyFolder(tmp_path / name)
        folder.open(study)
        return Ledger(study, folder)

    return make


def stored(ledger: Ledger) -> Sequence[optuna.trial.FrozenTrial]:
    """The trials as anyone finds them who opens the journal with Optuna."""
    storage = open_journal(ledger.folder.journal)
    return optuna.load_study(study_name=ledger.study.name, storage=storage).get_trials()


Open = Callable[..., Ledger]


def test_optuna_is_told_the_truth(open_ledger: Open) -> None:
    ledger = open_ledger(study_of(GRID, trials=5))
    completed, stopped, failed, running = (started(ledger) for _ in range(4))
    for epoch, value in ((1, 0.5), (2, 0.7), (3, 0.6), (4, 0.55)):
        assert ledger.report(completed.id, epoch, value)
    ledger.end(completed.id)
    assert not ledger.report(stopped.id, 1, 0.4)
    ledger.end(stopped.id)
    ledger.report(failed.id, 1, 0.9)
    ledger.end(failed.id, "epoch 2: the training loss of sst is nan")
    ledger.start(running.id)
    ledger.report(running.id, 1, 0.8)
    ledger.end(running.id)  # interrupted

    trials = stored(ledger)

    states = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING]
    assert [trial.state for trial in trials] == states
    assert trials[0].intermediate_values == {1: 0.5, 2: 0.7, 3: 0.6, 4: 0.55}
    assert trials[0].value == 0.55  # of the last epoch, not the best
    assert trials[1].intermediate_values == {1: 0.4}  # of the epoch that stopped it, too
    assert trials[2].user_attrs["failure"] == "epoch 2: the training loss of sst is nan"
    assert trials[3].intermediate_values == {1: 0.8}
    assert [r.state for r in ledger.records.values()] == [
        "completed",
        "stopped",
        "failed",
        "running",
    ]
    assert [r.ended is None for r in ledger.records.values()] == [False, False, False, True]


def test_parts_of_epochs_are_steps_in_the_journal_and_come_back(open_ledger: Open) -> None:
    study = study_of(GRID, epochs=2, trials=3, grace_epochs=0.25)
    ledger = open_ledger(study)
    completed, stopped, half = (started(ledger) for _ in range(3))
    scores = {0.25: 0.5, 0.75: 0.4, 1: 0.6, 2: 0.7}
    assert all(ledger.report(completed.id, epoch, value) for epoch, value in scores.items())
    ledger.end(completed.id)
    assert not ledger.report(stopped.id, 0.25, 0.4)
    ledger.end(stopped.id)
    assert ledger.report(half.id, 0.25, 0.9)
    ledger.folder.trial(half.id).start(config_of(ledger, half))
    for epoch, value in ((0.25, 0.9), (0.75, 0.3)):  # the second is not told any more
        ledger.folder.trial(half.id).record(epoch, metrics(value))

    again = open_ledger(study)

    assert [trial.intermediate_values for trial in stored(again)] == [
        {1: 0.5, 3: 0.4, 4: 0.6, 8: 0.7},
        {1: 0.4},
        {1: 0.9, 3: 0.3},
    ]
    assert stored(again)[0].value == 0.7
    assert [record.scores for record in again.records.values()] == [
        scores,
        {0.25: 0.4},
        {0.25: 0.9, 0.75: 0.3},
    ]
    assert [record.state for record in again.records.values()] == [
        "completed",
        "stopped",
        "stopped",
    ]
    assert [record.epoch for record in again.records.values()] == [2, 0.25, 0.75]
    assert again.rungs.values == {
        0.25: {"0000": 0.5, "0001": 0.4, "0002": 0.9},
        0.75: {"0000": 0.4, "0002": 0.3},
    }
    read = read_records(again.folder.journal, study.space)
    assert [(r.id, r.scores) for r in read] == [(r.id, r.scores) for r in again.records.values()]
    storage = open_journal(again.folder.journal)
    attributes = optuna.load_study(study_name=study.name, storage=storage).user_attrs
    assert attributes == {"steps_per_epoch": 4}


def test_whole_epochs_are_their_own_steps(open_ledger: Open) -> None:
    ledger = open_ledger(study_of(GRID, trials=1, grace_epochs=2))
    storage = open_journal(ledger.folder.journal)
    assert optuna.load_study(study_name=ledger.study.name, storage=storage).user_attrs == {}


def test_an_epoch_told_twice_counts_once(open_ledger: Open) -> None:
    ledger = open_ledger(study_of(GRID, trials=5))
    first, second = started(ledger), started(ledger)
    assert ledger.report(first.id, 1, 0.5)
    assert ledger.report(first.id, 1, 0.1)
    assert first.scores == {1: 0.5}
    assert ledger.rungs.values[1] == {first.id: 0.5}
    assert not ledger.report(second.id, 1, 0.4)
    assert not ledger.report(second.id, 1, 0.9)
    assert stored(ledger)[1].intermediate_values == {1: 0.4}


def test_a_decision_does_not_change_when_an_epoch_is_told_again(open_ledger: Open) -> None:
    ledger = open_ledger(study_of(GRID, trials=5))
    first, second = started(ledger), started(ledger)
    assert ledger.report(first.id, 1, 0.5)
    assert ledger.report(second.id, 1, 0.9)  # against which the first would not go on
    again = open_ledger(ledger.study)
    assert again.report(first.id, 1, 0.5)
    assert again.report(first.id, 2, 0.5)


def test_a_decision_stands_where_the_worker_dies_before_it_has_ended(open_ledger: Open) -> None:
    ledger = open_ledger(study_of(GRID, trials=5))
    first, second = started(ledger), started(ledger)
    assert ledger.report(first.id, 1, 0.5)
    assert not ledger.report(second.id, 1, 0.4)
    ledger.start(second.id)  # anew
    assert not ledger.report(second.id, 1, 0.4)
    assert ledger.end(second.id).state == "stopped"


def test_the_default_configuration_comes_first(open_ledger: Open) -> None:
    ledger = open_ledger(study_of(FREE, trials=3))
    first = started(ledger)
    assert first.values == {
        "pooling": "mean",
        "loss_weighting": "equal",
        "encoder_learning_rate": 5e-5,
        "warmup": 0.1,
    }
    assert config_of(ledger, first) == ledger.study.space.config()
    assert started(ledger).values != first.values


def test_a_trial_runs_from_when_a_worker_begins(open_ledger: Open) -> None:
    ledger = open_ledger(study_of(GRID, trials=2))
    trial = started(ledger)
    assert trial.started is None
    ledger.start(trial.id)
    assert trial.state == "running"
    first = trial.started
    assert first is not None
    ledger.start(trial.id)  # anew, since its worker died
    assert trial.started == first


def test_unfinished_trials_come_first_and_the_rungs_are_as_they_were(open_ledger: Open) -> None:
    ledger = open_ledger(study_of(FREE, trials=6))
    run_one(ledger, started(ledger))
    run_one(ledger, started(ledger))
    half, untouched = started(ledger), started(ledger)
    ledger.report(half.id, 1, 0.9)

    again = open_ledger(ledger.study)

    assert again.rungs == ledger.rungs
    assert [r[:2] for r in everything(again)] == [r[:2] for r in everything(ledger)]
    assert [r.scores for r in again.records.values()] == [r.scores for r in ledger.records.values()]
    assert [started(again).id for _ in range(3)] == [half.id, untouched.id, "0004"]
    assert half.values == again.records[half.id].values


def test_epochs_that_the_journal_lacks_are_taken_over(open_ledger: Open) -> None:
    ledger = open_ledger(study_of(GRID, trials=5))
    first, second, third = (started(ledger) for _ in range(3))
    run_one(ledger, first)
    ledger.report(second.id, 1, 0.9)
    for record, scores in ((second, [0.9, 0.7, 0.8]), (third, [-0.5])):
        for epoch, value in enumerate(scores, start=1):
            ledger.folder.trial(record.id).start(config_of(ledger, record))
            ledger.folder.trial(record.id).record(epoch, metrics(value))

    again = open_ledger(ledger.study)

    assert again.records[second.id].scores == {1: 0.9, 2: 0.7, 3: 0.8}
    assert again.rungs.values[3][second.id] == 0.8
    assert again.records[third.id].state == "stopped"  # what its lost report would have said
    assert stored(again)[1].intermediate_values == {1: 0.9, 2: 0.7, 3: 0.8}
    assert stored(again)[2].state == TrialState.PRUNED
    assert started(again).id == second.id


def test_a_trial_whose_last_report_was_lost_is_complete(open_ledger: Open) -> None:
    ledger = open_ledger(study_of(GRID, epochs=2, trials=1))
    record = started(ledger)
    ledger.folder.trial(record.id).start(config_of(ledger, record))
    for epoch, value in ((1, 0.2), (2, 0.3)):
        ledger.folder.trial(record.id).record(epoch, metrics(value))

    again = open_ledger(ledger.study)

    assert again.records[record.id].state == "completed"
    assert stored(again)[0].value == 0.3
    assert again.next() is None


STALLING = {1: 0.4, 1.5: 0.9, 2: 0.5, 3: 0.5, 4: 0.45}
"""Without a better whole epoch after the second."""


@pytest.mark.parametrize(("patience", "last", "state"), [(2, 4, "completed"), (3, 4, "running")])
def test_a_trial_that_ends_itself_is_complete_with_its_last_score(
    open_ledger: Open, patience: int, last: int, state: str
) -> None:
    study = study_of({"early_stopping": [patience]}, epochs=9, scheduler="none", grace_epochs=0.5)
    ledger = open_ledger(study)
    trial = started(ledger)
    ledger.start(trial.id)
    for epoch, value in STALLING.items():
        assert ledger.report(trial.id, epoch, value)
    assert ledger.end(trial.id).state == state
    again = open_ledger(study)
    record = again.records[trial.id]
    assert record.epoch == last
    assert (record.last_score, record.best_score) == (0.45, 0.9)
    (told,) = stored(again)
    if state == "completed":
        assert (told.state, told.value) == (TrialState.COMPLETE, 0.45)
        assert record.state == "completed"
        assert all(trial.id != r.id for r in iter(again.next, None))
    else:
        assert told.state == TrialState.RUNNING
        assert again.next() is record


def test_a_trial_whose_last_report_before_it_ended_itself_was_lost_is_complete(
    open_ledger: Open,
) -> None:
    study = study_of({"early_stopping": [1]}, epochs=9, scheduler="none")
    ledger = open_ledger(study)
    trial = started(ledger)
    ledger.start(trial.id)
    folder = ledger.folder.trial(trial.id)
    folder.start(config_of(ledger, trial))
    for epoch, value in ((1, 0.5), (2, 0.4)):
        folder.record(epoch, metrics(value))
    ledger.report(trial.id, 1, 0.5)
    again = open_ledger(study)
    assert again.records[trial.id].state == "completed"
    assert again.records[trial.id].scores == {1: 0.5, 2: 0.4}


def test_a_trial_that_ends_itself_at_a_rung_that_stops_it_is_complete(open_ledger: Open) -> None:
    study = study_of({"early_stopping": [1], "pooling": ["mean", "cls"]}, epochs=9, grace_epochs=2)
    ledger = open_ledger(study)
    for score in (0.9, 0.5):
        trial = started(ledger)
        ledger.start(trial.id)
        ledger.report(trial.id, 1, score)
        goes_on = ledger.report(trial.id, 2, score - 0.1)
        assert goes_on == (score == 0.9)
        assert ledger.end(trial.id).state == "completed"


def test_the_objective_says_which_score_is_taken_over(open_ledger: Open) -> None:
    ledger = open_ledger(study_of(GRID, trials=1, objective="sts"))
    record = started(ledger)
    ledger.folder.trial(record.id).start(config_of(ledger, record))
    ledger.folder.trial(record.id).record(1, metrics(0.8))
    assert open_ledger(ledger.study).records[record.id].scores == {1: 0.4}


def test_a_trial_stopped_before_its_end_was_told_is_not_run_again(open_ledger: Open) -> None:
    ledger = open_ledger(study_of(GRID, trials=2))
    run_one(ledger, started(ledger))
    second = started(ledger)
    assert not ledger.report(second.id, 1, -1.0)
    again = open_ledger(ledger.study)
    assert again.records[second.id].state == "stopped"
    assert again.next() is None


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp"])
def test_a_restarted_search_proposes_what_an_uninterrupted_one_would(
    open_ledger: Open, sampler: str
) -> None:
    study = study_of(FREE, trials=14, sampler=sampler, seed=3)
    whole = open_ledger(study, "whole")
    run_all(whole)

    ledger = open_ledger(study, "parts")
    while trial := ledger.next():
        number = int(trial.id)
        if number % 3 == 0:  # the trial is interrupted, as well as the search between two trials
            run_one(ledger, trial, until=number % 4)
            ledger = open_ledger(study, "parts")
            trial = ledger.next()
        if trial:
            run_one(ledger, trial)
        ledger = open_ledger(study, "parts")

    assert everything(ledger) == everything(whole)
    assert {r.state for r in ledger.records.values()} == {"completed", "stopped"}


def test_another_seed_proposes_other_configurations(open_ledger: Open) -> None:
    runs = [open_ledger(study_of(FREE, trials=4, seed=seed), f"seed {seed}") for seed in (0, 1)]
    for ledger in runs:
        run_all(ledger)
    first, second = ([dict(r.values) for r in ledger.records.values()] for ledger in runs)
    assert first[:2] == second[:2]  # the default and the report's recipe
    assert all(a != b for a, b in zip(first[2:], second[2:], strict=True))


def test_a_grid_runs_each_point_once_across_restarts(open_ledger: Open) -> None:
    study = study_of(GRID, sampler="grid", trials=100)
    open_ledger(study)  # restarted between enqueueing and running
    for _ in range(2):
        ledger = open_ledger(study)
        assert ledger.trials == 6
        run_one(ledger, started(ledger))
    interrupted = open_ledger(study)
    run_one(interrupted, started(interrupted), until=1)
    ledger = open_ledger(study)
    run_all(ledger)

    points = [tuple(record.values.items()) for record in ledger.records.values()]
    assert points == [tuple(point.items()) for point in study.space.grid()]
    assert len(stored(ledger)) == 6
    assert open_ledger(study).next() is None


def test_a_grid_killed_while_it_was_enqueued_is_still_whole(open_ledger: Open) -> None:
    study = study_of(GRID, sampler="grid", trials=100)
    journal = open_ledger(study).folder.journal
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:3]))  # the study, its direction, one point
    ledger = open_ledger(study)
    run_all(ledger)
    points = [dict(record.values) for record in ledger.records.values()]
    assert points == list(study.space.grid())


def test_a_trial_killed_between_two_of_its_values_gets_the_rest(open_ledger: Open) -> None:
    study = study_of(GRID, sampler="grid", trials=100)
    ledger = open_ledger(study)
    run_one(ledger, started(ledger))
    second = started(ledger)
    journal = ledger.folder.journal
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]))  # without the second of its two values

    again = open_ledger(study)

    assert again.records[second.id].values == second.values
    run_all(again)
    assert [dict(r.values) for r in again.records.values()] == list(study.space.grid())


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp"])
@pytest.mark.parametrize("values", [0, 1, 2, 3])
def test_a_trial_killed_while_it_was_proposed_gets_what_it_would_have(
    open_ledger: Open, sampler: str, values: int
) -> None:
    """Whether none of its values were stored, or some."""
    study = study_of(FREE, trials=5, sampler=sampler)
    ledger = open_ledger(study)
    for _ in range(3):
        run_one(ledger, started(ledger))
    before = ledger.folder.journal.read_bytes()
    fourth = started(ledger)
    lines = ledger.folder.journal.read_bytes()[len(before) :].splitlines(keepends=True)
    begun = [line for line in lines if b'"op_code":5' not in line]
    stored = [line for line in lines if b'"op_code":5' in line]
    ledger.folder.journal.write_bytes(before + b"".join([*begun, *stored[:values]]))
    again = open_ledger(study)
    assert again.records[fourth.id].values == fourth.values
    fifth, also = started(ledger), [started(again), started(again)]
    assert [trial.values for trial in also] == [fourth.values, fifth.values]


def test_a_smaller_grid_is_the_first_points(open_ledger: Open) -> None:
    study = study_of(GRID, sampler="grid", trials=4)
    ledger = open_ledger(study)
    run_all(ledger)
    assert [dict(r.values) for r in ledger.records.values()] == list(study.space.grid())[:4]


@pytest.mark.parametrize("sampler", ["grid", "tpe"])
def test_the_budget_can_be_raised(open_ledger: Open, sampler: str) -> None:
    run_all(open_ledger(study_of(GRID, sampler=sampler, trials=4)))
    ledger = open_ledger(study_of(GRID, sampler=sampler, trials=6))
    assert started(ledger).id == "0004"
    assert started(ledger).id == "0005"
    assert ledger.next() is None
    if sampler == "grid":
        points = [dict(record.values) for record in ledger.records.values()]
        assert points == list(ledger.study.space.grid())


def test_the_budget_can_be_lowered(open_ledger: Open) -> None:
    ledger = open_ledger(study_of(GRID, sampler="grid", trials=4))
    run_one(ledger, started(ledger))
    assert open_ledger(study_of(GRID, sampler="grid", trials=1)).next() is None


def test_a_study_with_nothing_free_has_its_one_configuration(open_ledger: Open) -> None:
    ledger = open_ledger(study_of({}, trials=2))
    run_all(ledger)
    assert [(r.values, r.state) for r in ledger.records.values()] == [({}, "completed")]


def test_a_study_goes_on_under_another_name(open_ledger: Open) -> None:
    ledger = open_ledger(study_of(GRID, trials=3))
    run_one(ledger, started(ledger))
    tables = ledger.study.tables()
    again = open_ledger(parse_study(tables, "other", "other"))
    assert list(again.records) == ["0000"]
    assert started(again).id == "0001"
    assert len(optuna.get_all_study_names(open_journal(ledger.folder.journal))) == 1


def test_what_a_killed_search_left_in_the_journal_is_mended(open_ledger: Open) -> None:
    ledger = open_ledger(study_of(GRID, trials=3))
    run_one(ledger, started(ledger))
    journal = ledger.folder.journal
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":6,"worker')
    lock = Path(f"{journal}.lock")
    lock.symlink_to(journal)

    again = open_ledger(ledger.study)

    assert everything(again) == everything(ledger)
    run_all(again)
    assert not lock.is_symlink()
    assert [trial.state.is_finished() for trial in stored(again)] == [True] * 3


def test_a_whole_journal_is_left_as_it_is(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    mend_journal(journal)
    assert not journal.exists()
    optuna.create_study(storage=SearchJournal(journal)).ask()
    whole = journal.read_bytes()
    assert mend_journal(journal) is None
    assert journal.read_bytes() == whole
    assert [*tmp_path.iterdir()] == [journal]
