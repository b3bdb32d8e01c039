"""What the journal says of a study's trials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from search.ledger.search_journal import SearchJournal
from search.trials.journal_file import read_records
from search.trials.record import Record, State, best_record, ranked, trial_id
from spaces import Space, UserError

SPACE = Space.parse({"jaccard": [True, False]}, "here")


def record(name: str, state: State, scores: Mapping[float, float]) -> Record:
    return Record(name, {}, state, dict(scores))


def test_a_record_knows_its_last_and_its_best_epoch() -> None:
    one = record("a", "running", {1: 0.2, 2: 0.6, 3: 0.5})
    assert (one.epoch, one.last_score, one.best_epoch, one.best_score) == (3, 0.5, 2, 0.6)
    none = record("b", "running", {})
    assert (none.epoch, none.last_score, none.best_epoch, none.best_score) == (0, None, None, None)


def test_the_best_of_the_completed_has_the_highest_last_score() -> None:
    trials = [
        record("peaked", "completed", {1: 0.9, 2: 0.5}),
        record("best", "completed", {1: 0.1, 2: 0.6}),
        record("stopped", "stopped", {1: 0.95}),
        record("running", "running", {1: 0.99, 2: 0.99}),
    ]
    best = best_record(trials)
    assert best is not None
    assert best.id == "best"


def test_a_trial_that_ended_itself_early_is_compared_by_its_last_score() -> None:
    early, full = record("early", "completed", {1: 0.9, 2: 0.6}), record("f", "completed", {3: 0.7})
    assert best_record([early, full]) is full
    assert best_record([early, record("f", "completed", {3: 0.5})]) is early


def test_before_any_completed_only_the_furthest_are_compared() -> None:
    trials = [
        record("early", "stopped", {1: 0.9}),
        record("best", "running", {1: 0.1, 2: 0.4}),
        record("other", "stopped", {1: 0.8, 2: 0.3}),
        record("failed", "failed", {1: 0.9, 2: 0.9}),
    ]
    best = best_record(trials)
    assert best is not None
    assert best.id == "best"


def test_an_undefined_score_is_never_the_best() -> None:
    undefined = record("a", "completed", {1: 0.5, 2: math.nan})
    assert best_record([undefined]) is None
    stopped = record("b", "stopped", {1: 0.1})
    assert best_record([undefined, stopped]) is stopped


def test_of_equals_the_one_that_was_handed_out_first_is_the_best() -> None:
    equals = [record(name, "completed", {2: 0.5}) for name in ("10000", "0999", "1000")]
    assert [r.id for r in ranked(equals)] == ["0999", "1000", "10000"]
    assert best_record(equals) is equals[1]


def test_without_a_score_there_is_no_best() -> None:
    assert best_record([]) is None
    assert best_record([record("a", "running", {}), record("b", "failed", {1: 0.5})]) is None


def test_ids_sort_as_numbers() -> None:
    assert [trial_id(number) for number in (0, 7, 1234)] == ["0000", "0007", "1234"]


def test_the_journal_gives_every_started_trial(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    study = optuna.create_study(
        study_name="s", storage=SearchJournal(journal), direction="maximize"
    )
    trials = []
    for _ in range(4):
        trial = study.ask()
        trial.suggest_categorical("jaccard", (True, False))
        trial.report(0.25, 1)
        trials.append(trial)
    study.tell(trials[0], 0.25)
    study.tell(trials[1], state=TrialState.PRUNED)
    trials[2].set_user_attr("failure", "no number")
    study.tell(trials[2], state=TrialState.FAIL)
    study.enqueue_trial({"jaccard": True})  # not started: left out

    records = read_records(journal, SPACE)

    assert [r.state for r in records] == ["completed", "stopped", "failed", "running"]
    assert [r.id for r in records] == ["0000", "0001", "0002", "0003"]
    assert [r.failure for r in records] == [None, None, "no number", None]
    assert all(r.scores == {1: 0.25} and isinstance(r.values["jaccard"], bool) for r in records)
    assert all(r.started for r in records)
    assert [r.ended is None for r in records] == [False, False, False, True]


def test_a_journal_with_no_study_has_no_trials(tmp_path: Path) -> None:
    (tmp_path / "journal").touch()
    assert read_records(tmp_path / "journal", SPACE) == []


def test_a_missing_journal_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing was searched there yet"):
        read_records(tmp_path / "journal", SPACE)
    assert not list(tmp_path.iterdir())
