"""The journal of a running search: Optuna's own lines, and what a sampler sees of them."""

from __future__ import annotations

import random
from pathlib import Path

import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.samplers._tpe.sampler import _split_trials, default_gamma
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from search.ledger.search_journal import SearchJournal
from search.trials.disk_errors import is_of_disk
from search.trials.journal_file import mend_journal

ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def optunas(file: Path) -> JournalStorage:
    """A journal as Optuna's own programs write it."""
    return JournalStorage(JournalFileBackend(str(file)))


def new_study(journal: SearchJournal) -> optuna.Study:
    return optuna.create_study(
        study_name="s", storage=journal, direction="maximize", sampler=RandomSampler(seed=0)
    )


def add(study: optuna.Study, count: int, seed: int = 0) -> None:
    """Trials of all ends, whose order of ending is not that of beginning."""
    draw = random.Random(seed)
    trials = [study.ask() for _ in range(count)]
    for trial in trials:
        trial.suggest_float("x", 0, 1)
    draw.shuffle(trials)
    for trial in trials:
        for step in range(1, draw.randint(1, 4)):
            trial.report(draw.random(), step)
        state = draw.choice([*ENDED, TrialState.PRUNED, TrialState.FAIL])
        value = draw.random() if state == TrialState.COMPLETE else None
        study.tell(trial, value, state)


def numbers(trials: list[FrozenTrial]) -> list[int]:
    return [trial.number for trial in trials]


def test_anyone_reads_it_with_optuna_while_it_is_written(file: Path) -> None:
    journal = SearchJournal(file)
    study = new_study(journal)
    add(study, 5)
    running = study.ask()
    running.report(0.5, 1)
    running.set_user_attr("why", "because")
    read = optuna.load_study(study_name="s", storage=optunas(file)).get_trials()
    assert read == journal.all_trials()
    assert read[5].intermediate_values == {1: 0.5}
    assert read[5].user_attrs == {"why": "because"}


def test_what_optuna_wrote_is_gone_on_with(file: Path) -> None:
    add(optuna.create_study(study_name="s", storage=optunas(file), direction="maximize"), 5)
    journal = SearchJournal(file)
    add(optuna.load_study(study_name="s", storage=journal), 5)
    assert journal.all_trials() == SearchJournal(file).all_trials()
    assert len(journal.all_trials()) == 10


def test_a_small_study_is_shown_whole(file: Path) -> None:
    journal = SearchJournal(file)
    study = new_study(journal)
    add(study, 120)
    study.enqueue_trial({"x": 0.5})
    study.ask()
    study.enqueue_trial({"x": 0.25})
    everything = [t for t in journal.all_trials() if t.state != TrialState.FAIL]
    assert study.get_trials(deepcopy=False) == everything
    assert journal.waiting


def test_of_a_large_study_the_best_and_the_latest_are_shown(file: Path) -> None:
    journal = SearchJournal(file)
    study = new_study(journal)
    for seed in range(4):
        add(study, 150, seed)
    running = study.ask()
    ended = [trial for trial in journal.all_trials() if trial.state in ENDED]
    good, _ = _split_trials(study, ended, default_gamma(len(ended)))
    shown = study.get_trials(deepcopy=False)
    expected = {*numbers(good), *numbers(ended[-250:]), running.number}
    assert numbers(shown) == sorted(expected)
    # TPE finds among those shown the good ones that it would find among all.
    chosen = [trial for trial in shown if trial.state in ENDED]
    assert numbers(_split_trials(study, chosen, default_gamma(len(chosen)))[0]) == numbers(good)


def test_after_a_restart_the_same_is_shown(file: Path) -> None:
    journal = SearchJournal(file)
    study = new_study(journal)
    for seed in range(3):
        add(study, 150, seed)
    study.ask()
    again = optuna.load_study(study_name="s", storage=SearchJournal(file))
    assert again.get_trials() == study.get_trials()


def test_what_others_write_while_it_is_written_is_taken_up(file: Path) -> None:
    """A trial that someone enqueues from outside gets its number, and ours the next one."""
    journal = SearchJournal(file)
    study = new_study(journal)
    add(study, 2)
    outside = optuna.load_study(study_name="s", storage=optunas(file))
    outside.enqueue_trial({"x": 0.5})
    optunas(file).set_trial_user_attr(2, "note", "odd")
    trial = study.ask()
    trial.report(0.5, 1)
    assert trial.number == 3
    anyone = optuna.load_study(study_name="s", storage=optunas(file)).trials
    assert [t.number for t in anyone] == [0, 1, 2, 3]
    assert anyone[2].user_attrs == {"note": "odd"}
    assert anyone[2].state == TrialState.WAITING
    assert anyone[3].intermediate_values == {1: 0.5}
    assert journal.all_trials() == anyone


@pytest.mark.parametrize("slip", [b"\n", b"oops\n", b"oops", b"\x00" * 9, b'{"op_code": 99}\n'])
def test_a_slip_of_the_hand_is_cut_before_anything_is_written_behind_it(
    file: Path, slip: bytes
) -> None:
    journal = SearchJournal(file)
    study = new_study(journal)
    add(study, 2)
    before = file.read_bytes()
    with file.open("ab") as opened:
        opened.write(slip)
    trial = study.ask()
    trial.report(0.5, 1)
    assert file.read_bytes().startswith(before + b'{"op_code"')
    assert SearchJournal(file).all_trials() == journal.all_trials()
    assert file.with_name("journal.cut").read_bytes() == slip


@pytest.mark.parametrize("replaced", [True, False])
def test_a_journal_that_is_replaced_under_a_search_ends_it(file: Path, replaced: bool) -> None:
    """And loses nothing in a file that nobody finds any more."""
    study = new_study(SearchJournal(file))
    add(study, 2)
    whole = file.read_bytes()
    if replaced:
        file.unlink()
    file.write_bytes(whole if replaced else whole[:-40])
    with pytest.raises(OSError, match="replaced or cut") as error:
        study.ask()
    assert is_of_disk(error.value)


def test_a_damaged_journal_is_not_written_to_before_it_is_mended(file: Path) -> None:
    add(new_study(SearchJournal(file)), 2)
    with file.open("a") as opened:
        opened.write("\n")
    with pytest.raises(RuntimeError, match="mended before"):
        SearchJournal(file)
    mend_journal(file)
    assert len(SearchJournal(file).all_trials()) == 2
