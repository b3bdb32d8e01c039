"""A ledger under promotion: trials pause at rungs, and the best go on, whatever interrupts them."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState
from rich.console import Console

from search.driver.live_view import Progress
from search.ledger.ledger import Ledger
from search.report.tables import trials_table
from search.report.write import write_report
from search.trials.journal_file import open_journal, read_records
from search.trials.record import Record, best_record
from search.trials.study_folder import StudyFolder
from spaces import StudyFile, parse_study
from tests.tries import tries

EPOCHS, FACTOR = 9, 3  # rungs at 1 and 3


def study_of(trials: int, **search: Any) -> StudyFile:
    tables = {
        "space": {"epochs": EPOCHS, "warmup": {"low": 0.0, "high": 0.5}},
        "search": {"sampler": "random", "scheduler": "promotion", "trials": trials, **search},
    }
    return parse_study(tables, "study", "study")


def opened(study: StudyFile, path: Path) -> Ledger:
    folder = StudyFolder(path)
    folder.open(study)
    return Ledger(study, folder)


@pytest.fixture
def open_ledger(tmp_path: Path) -> Callable[[StudyFile], Ledger]:
    return lambda study: opened(study, tmp_path / "study")


def started(ledger: Ledger) -> Record:
    trial = ledger.next()
    assert trial is not None
    ledger.start(trial.id)
    return trial


def stretch(ledger: Ledger, trial: Record, scores: dict[int, float]) -> Record:
    """A stretch of work of a trial, with its scores by epoch from where it was."""
    for epoch, score in scores.items():
        if not ledger.report(trial.id, epoch, score):
            break
    return ledger.end(trial.id)


def score(trial: Record, epoch: int) -> float:
    """Curves that cross: what is best at first need not stay so."""
    draw = random.Random(f"{trial.values['warmup']}")
    start, gain = draw.random(), draw.random()
    return start + gain * epoch


def run_on(ledger: Ledger, trial: Record) -> Record:
    return stretch(
        ledger, trial, {e: score(trial, e) for e in range(int(trial.epoch) + 1, EPOCHS + 1)}
    )


def stored(ledger: Ledger) -> list[optuna.trial.FrozenTrial]:
    storage = open_journal(ledger.folder.journal)
    return optuna.load_study(study_name=ledger.study.name, storage=storage).get_trials()


def test_a_trial_pauses_at_its_rung_and_the_best_third_goes_on(
    open_ledger: Callable[[StudyFile], Ledger],
) -> None:
    ledger = open_ledger(study_of(4))
    first, second = started(ledger), started(ledger)
    assert stretch(ledger, first, {1: 0.5}).state == "paused"
    assert stretch(ledger, second, {1: 0.4}).state == "paused"
    third = started(ledger)
    assert third.id == "0002"
    assert ledger.report(third.id, 1, 0.3) is False
    ledger.end(third.id)
    assert [trial.state for trial in stored(ledger)] == [TrialState.RUNNING] * 3
    assert [trial.user_attrs["paused"] for trial in stored(ledger)] == [1, 1, 1]
    shown = read_records(ledger.folder.journal, ledger.study.space)
    assert [record.state for record in shown] == ["paused"] * 3
    assert ledger.tally.counts == {"paused": 3}

    promoted = started(ledger)  # no fourth one: the best third of three has one to promote
    assert promoted is first
    assert first.state == "running"
    assert stored(ledger)[0].user_attrs["paused"] is None
    assert ledger.report(first.id, 1, 0.5)  # what a resumed training reports once more
    assert stretch(ledger, first, {2: 0.6, 3: 0.7}).state == "paused"
    assert first.scores == {1: 0.5, 2: 0.6, 3: 0.7}
    assert started(ledger).id == "0003"


def test_people_see_what_is_paused(open_ledger: Callable[[StudyFile], Ledger]) -> None:
    ledger = open_ledger(study_of(4))
    for value in (0.5, 0.4):
        stretch(ledger, started(ledger), {1: value})
    assert "0/4 trials (2 paused)" in Progress(ledger).summary()
    page = write_report(ledger.folder).read_text()
    assert "<b>2</b><span>paused</span>" in page
    assert "No trial has completed: this one leads those that got furthest" in page
    ledger.folder.trial("0000").start(ledger.study.space.config())
    assert [record.state for record in ledger.folder.records(ledger.study.space)] == ["paused"] * 2
    console = Console(width=100, file=StringIO())
    console.print(trials_table([*ledger.records.values()], ledger.study.space))
    assert console.file.getvalue().count("paused") == 2  # type: ignore[attr-defined]


def test_a_trial_that_a_free_worker_would_go_on_with_does_not_pause(
    open_ledger: Callable[[StudyFile], Ledger],
) -> None:
    ledger = open_ledger(study_of(3))
    for value in (0.1, 0.2):
        stretch(ledger, started(ledger), {1: value})
    third = started(ledger)
    assert ledger.report(third.id, 1, 0.3)
    assert "paused" not in stored(ledger)[2].user_attrs
    again = open_ledger(ledger.study)
    assert again.next() is again.records["0002"]  # as one that was promoted
    assert not again.report(third.id, 3, 0.4)
    assert stored(again)[2].user_attrs["paused"] == 3


def test_the_study_ends_when_no_one_is_left_to_promote(
    open_ledger: Callable[[StudyFile], Ledger],
) -> None:
    ledger = open_ledger(study_of(3))
    trials = [started(ledger) for _ in range(3)]
    for trial, value in zip(trials[:2], (0.5, 0.4), strict=True):
        stretch(ledger, trial, {1: value})
    assert ledger.next() is None  # while the third runs
    stretch(ledger, trials[2], {1: 0.3})
    assert stretch(ledger, started(ledger), {3: 0.6}).state == "paused"
    last = started(ledger)  # too few for the second rung: the leader goes on
    assert last is trials[0]
    assert stretch(ledger, last, {9: 0.7}).state == "completed"
    assert ledger.next() is None
    assert [record.id for record in ledger.close()] == ["0001", "0002"]

    again = open_ledger(ledger.study)
    assert [record.state for record in again.records.values()] == ["completed", *["stopped"] * 2]
    assert [(t.state, t.value) for t in stored(again)] == [
        (TrialState.COMPLETE, 0.7),
        (TrialState.PRUNED, None),  # its last score is not a final one
        (TrialState.PRUNED, None),
    ]
    assert again.next() is None
    assert again.close() == []
    best = best_record([*again.records.values()])
    assert best is not None
    assert best.id == "0000"


def test_what_pauses_is_shown_to_the_sampler_as_it_stands(
    open_ledger: Callable[[StudyFile], Ledger],
) -> None:
    """And not as one that runs, which TPE would take for a bad one; nor does that depend on how
    far a promoted one is since."""
    ledger = open_ledger(study_of(4))
    for value in (0.3, 0.2, 0.1):
        stretch(ledger, started(ledger), {1: value})
    promoted = started(ledger)
    ledger.report(promoted.id, 2, 0.4)
    for journal in (ledger, open_ledger(ledger.study)):
        shown = journal._optuna.get_trials(deepcopy=False)
        assert [(t.state, t.intermediate_values) for t in shown] == [
            (TrialState.PRUNED, {1: 0.3}),
            (TrialState.PRUNED, {1: 0.2}),
            (TrialState.PRUNED, {1: 0.1}),
        ]


def test_a_trial_that_ends_itself_or_fails_at_a_rung_does_not_pause(tmp_path: Path) -> None:
    tables = study_of(2).tables()
    tables["space"]["early_stopping"] = 2
    ledger = opened(parse_study(tables, "study", "study"), tmp_path)
    assert stretch(ledger, started(ledger), {1: 0.5}).state == "paused"
    second = started(ledger)
    assert not ledger.report(second.id, 1, 0.9)
    assert ledger.end(second.id, "diverged").state == "failed"
    first = started(ledger)  # the leader
    assert first.id == "0000"
    assert stretch(ledger, first, {2: 0.4, 3: 0.3}).state == "completed"


def test_unfinished_stretches_go_on_in_the_order_in_which_they_were_handed_out(
    open_ledger: Callable[[StudyFile], Ledger],
) -> None:
    ledger = open_ledger(study_of(5))
    first, second, third, fourth = (started(ledger) for _ in range(4))
    for trial, value in ((first, 0.3), (second, 0.2), (third, 0.1)):
        stretch(ledger, trial, {1: value})
    assert [started(ledger), started(ledger).id] == [first, "0004"]
    again = open_ledger(ledger.study)
    assert [started(again).id for _ in range(3)] == [fourth.id, first.id, "0004"]


def everything(ledger: Ledger) -> Any:
    return [(r.id, dict(r.values), r.state, r.scores) for r in ledger.records.values()]


def finish(ledger: Ledger) -> Ledger:
    while trial := ledger.next():
        run_on(ledger, trial)
    ledger.close()
    return ledger


@settings(max_examples=tries(20), deadline=None)
@given(st.integers(1, 14), st.lists(st.integers(0, 6), max_size=12), st.booleans())
def test_one_worker_s_study_is_the_same_however_often_it_is_interrupted(
    trials: int, moments: list[int], one_ahead: bool
) -> None:
    """The search ends after so many reports, at any of them: after a report or before the trial's
    end is told. Tune may have asked for the next trial by then."""
    with tempfile.TemporaryDirectory() as name:
        study = study_of(trials, sampler="random")

        def ahead(ledger: Ledger, until: int | None) -> bool:
            """Whether the study came to its end before so many reports."""
            reports = 0
            queue = [t for t in [ledger.next()] if t]
            while queue:
                trial = queue.pop(0)
                if one_ahead and (following := ledger.next()):
                    queue.append(following)
                for epoch in range(int(trial.epoch) + 1, EPOCHS + 1):
                    goes_on = ledger.report(trial.id, epoch, score(trial, epoch))
                    reports += 1
                    if reports == until:
                        return False
                    if not goes_on:
                        break
                ledger.end(trial.id)
                if not queue and (following := ledger.next()):
                    queue.append(following)
            ledger.close()
            return True

        whole = opened(study, Path(name) / "whole")
        ahead(whole, None)
        for moment in moments:
            ahead(opened(study, Path(name) / "parts"), moment + 1)
        parts = opened(study, Path(name) / "parts")
        ahead(parts, None)
        assert everything(parts) == everything(whole)
        assert {record.state for record in whole.records.values()} <= {"completed", "stopped"}
        assert any(record.state == "completed" for record in whole.records.values())


@settings(max_examples=tries(30), deadline=None)
@given(st.integers(1, 5), st.integers(3, 30), st.randoms(use_true_random=False))
def test_who_is_beyond_a_rung_was_among_its_best_when_promoted(
    workers: int, trials: int, draw: random.Random
) -> None:
    """With any number of workers; but for the one that is left alone at the end."""
    with tempfile.TemporaryDirectory() as name:
        ledger = opened(study_of(trials), Path(name))
        running: list[Record] = []
        while True:
            while len(running) < workers and (trial := ledger.next()):
                if trial.epoch:
                    rung = ledger.rungs.values[trial.epoch]
                    better = sum(value > rung[trial.id] for value in rung.values())
                    nobody_else = not running and len(ledger.records) == trials
                    assert better < len(rung) // FACTOR or nobody_else
                running.append(trial)
            if not running:
                break
            trial = running.pop(draw.randrange(len(running)))
            epoch = int(trial.epoch) + 1
            goes_on = ledger.report(trial.id, epoch, draw.random())
            if goes_on and epoch in ledger.rungs.levels:
                rung = ledger.rungs.values[epoch]
                assert sum(v > rung[trial.id] for v in rung.values()) < len(rung) // FACTOR
            if goes_on and epoch < EPOCHS:
                running.append(trial)
            else:
                ledger.end(trial.id)
        ledger.close()
        assert len(ledger.records) == trials
        assert {record.state for record in ledger.records.values()} <= {"completed", "stopped"}
