"""A study that starts from the trials of earlier ones."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from model import Setting
from model.setting import Source
from search.ledger.ledger import Ledger
from search.trials.study_folder import StudyFolder
from spaces import StudyFile, UserError, Value, load_study, parse_study

SPACE = {
    "epochs": 4,
    "pooling": ["mean", "cls"],
    "loss_weighting": ["equal", "tuned"],
    "loss_weights": "free",
    "warmup": {"low": 0.0, "high": 0.5},
    "jaccard": True,
}


def study_of(
    *earlier: Path, space: Mapping[str, Any] | None = None, name: str = "study", **tables: Any
) -> StudyFile:
    usual = {"sampler": "random", "trials": 8}
    search = {**usual, **tables.pop("search", {})}
    if earlier:
        search["start_from"] = [str(path) for path in earlier]
    document = {"space": {**SPACE, **(space or {})}, "search": search, **tables}
    return parse_study(document, name, name)


def opened(study: StudyFile, path: Path) -> Ledger:
    folder = StudyFolder(path)
    folder.open(study)
    return Ledger(study, folder)


def run(ledger: Ledger, trials: int = 10**6) -> Ledger:
    while trials and (trial := ledger.next()):
        trials -= 1
        ledger.start(trial.id)
        for epoch in range(1, 5):
            value = 0.5 - abs(trial.values.get("warmup", 0.1) - 0.3) + epoch / 100
            if epoch not in trial.scores and not ledger.report(trial.id, epoch, value):
                break
        ledger.end(trial.id)
    return ledger


@pytest.fixture
def earlier(tmp_path: Path) -> Ledger:
    """Eight trials, some of them stopped, and one that failed."""
    ledger = opened(study_of(name="earlier", search={"trials": 9}), tmp_path / "earlier")
    failed = ledger.next()
    assert failed is not None
    ledger.end(failed.id, "diverged")
    return run(ledger)


def shown(ledger: Ledger) -> list[tuple[TrialState, float | None, dict[int, float]]]:
    trials = ledger._optuna.get_trials(deepcopy=False)
    return [(t.state, t.value, t.intermediate_values) for t in trials]


def values(ledger: Ledger) -> list[Mapping[str, Value]]:
    return [record.values for record in ledger.records.values()]


def test_what_fits_is_shown_to_the_sampler_and_counted_nowhere(
    earlier: Ledger, tmp_path: Path
) -> None:
    ledger = opened(study_of(earlier.folder.path), tmp_path / "study")
    there = [r for r in earlier.records.values() if r.state != "failed"]
    assert {r.state for r in there} == {"completed", "stopped"}
    assert shown(ledger) == [
        (TrialState.COMPLETE, r.last_score, r.scores)
        if r.state == "completed"
        else (TrialState.PRUNED, None, r.scores)
        for r in there
    ]
    assert [t.params.get("warmup") for t in ledger._optuna.get_trials()] == [
        r.values["warmup"] for r in there
    ]
    assert ledger.records == {}
    assert ledger.rungs.values == {}
    assert ledger.tally.counts.total() == 0
    assert ledger._journal.all_trials() == []
    assert ledger.earlier.describe() == (
        "8 of 9 trials of earlier studies inform the sampler, and the best of them is tried again "
        "early (1 do not fit: failed)."
    )


def test_the_best_of_them_is_tried_after_the_recipes(earlier: Ledger, tmp_path: Path) -> None:
    ledger = run(opened(study_of(earlier.folder.path), tmp_path / "study"))
    completed = [r for r in earlier.records.values() if r.state == "completed"]
    best = max(completed, key=lambda record: record.last_score or 0)
    assert best.values in values(ledger)[:3]
    assert len(ledger.records) == 8


def test_the_sampler_learns_from_them_from_the_first_trial(earlier: Ledger, tmp_path: Path) -> None:
    """Ten earlier ones are what TPE draws at random before it has a model."""
    more = run(opened(study_of(name="more", search={"trials": 30, "seed": 1}), tmp_path / "more"))
    study = study_of(earlier.folder.path, more.folder.path, search={"sampler": "tpe", "trials": 12})
    ledger = run(opened(study, tmp_path / "study"))
    near = sum(abs(v["warmup"] - 0.3) < 0.1 for v in values(ledger)[3:])
    assert near >= 6  # of nine, where two in five are by chance


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"encoder": {"name": "other"}}, "another encoder, minilm"),
        ({"data": {"train": 64}}, "other data, embedded"),
        ({"search": {"objective": "sts"}}, "another objective, mean"),
        ({"space": {"epochs": 5}}, "epochs = 4 there"),
        ({"space": {"jaccard": False}}, "jaccard = true there"),
        ({"space": {"seed": 1}}, "seed = 0 there"),
        ({"space": {"warmup": {"low": 0.499, "high": 0.5}}}, "warmup out of its domain here"),
        ({"space": {"dropout": [0.2, 0.3]}}, "dropout out of its domain here"),
    ],
)
def test_what_means_something_else_does_not_fit(
    earlier: Ledger, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    ledger = opened(study_of(earlier.folder.path, **changes), tmp_path / "study")
    assert shown(ledger) == []
    assert reason in ledger.earlier.describe()
    assert ledger.earlier.describe().startswith("0 of 9 trials")


def test_another_space_takes_what_fits(earlier: Ledger, tmp_path: Path) -> None:
    """What was fixed there may be free here and the other way round; of a factor that has no
    effect nothing is asked."""
    space = {
        "pooling": "mean",
        "jaccard": [True, False],
        "loss_weighting": ["equal", "report"],
        "loss_weights": [0.5, 0.25, 0.25],
    }
    ledger = opened(study_of(earlier.folder.path, space=space), tmp_path / "study")
    fitting = [
        record
        for record in earlier.records.values()
        if record.state != "failed"
        and record.values["pooling"] == "mean"
        and record.values["loss_weighting"] == "equal"
    ]
    assert fitting
    assert [trial.params for trial in ledger._optuna.get_trials()] == [
        {"jaccard": True, "loss_weighting": "equal", "warmup": record.values["warmup"]}
        for record in fitting
    ]


def test_parts_of_epochs_that_are_no_steps_here_are_left_out(tmp_path: Path) -> None:
    search = {"grace_epochs": 0.25, "scheduler": "none"}
    ledger = opened(study_of(name="earlier", search=search), tmp_path / "earlier")
    trial = ledger.next()
    assert trial is not None
    for epoch in (0.25, 1, 2, 3, 4):
        ledger.report(trial.id, epoch, epoch / 10)
    ledger.end(trial.id)
    ledger = opened(study_of(tmp_path / "earlier"), tmp_path / "study")
    assert shown(ledger) == [(TrialState.COMPLETE, 0.4, {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4})]


def test_what_was_taken_stands_whatever_becomes_of_the_earlier_study(
    earlier: Ledger, tmp_path: Path
) -> None:
    study = study_of(earlier.folder.path, search={"sampler": "tpe", "trials": 12})
    whole = run(opened(study, tmp_path / "whole"))
    parts = opened(study, tmp_path / "parts")
    before = shown(parts)
    shutil.rmtree(earlier.folder.path)
    assert shown(opened(study, tmp_path / "parts")) == before != []
    for _ in range(12):
        parts = run(opened(study, tmp_path / "parts"), 1)
    assert values(parts) == values(whole)


SOURCE = Source(name="sts-dev.csv", file="of the file", examples="of the examples")
SETTING = Setting(
    data_path="/data",
    encoder_name="minilm",
    made={},
    sources={"sts/dev": SOURCE},
    weights="of the weights",
    shape={},
    tokenizer="of the tokenizer",
    precision="fp32",
    surroundings={},
)
CHANGED = replace(SOURCE, file="another", examples="others")


def begun(path: Path, setting: Setting | None, *earlier: Path, data: str = "/data") -> Ledger:
    """A study on files, which was begun with a setting, or before there were any."""
    name = "study" if earlier else "earlier"
    study = study_of(*earlier, name=name, data={"path": data}, search={"trials": 3})
    folder = StudyFolder(path)
    folder.open(study, setting)
    return run(Ledger(study, folder))


@pytest.mark.parametrize(
    ("there", "here", "reason"),
    [
        (SETTING, SETTING, None),
        (None, SETTING, None),
        (SETTING, None, None),
        (SETTING, replace(SETTING, surroundings={"torch": "3"}), None),
        (
            SETTING,
            replace(SETTING, sources={"sts/dev": SOURCE, "sts/extra": CHANGED}),
            None,  # what only one of them has was not compared, but by the factors
        ),
        (
            SETTING,
            replace(SETTING, sources={"sts/dev": CHANGED}),
            "other data, /data: sts-dev.csv has changed since",
        ),
        (
            SETTING,
            replace(SETTING, weights="others"),
            "another encoder, minilm: the encoder's weights have changed since",
        ),
        (SETTING, replace(SETTING, precision="bf16"), "another precision, fp32"),
    ],
)
def test_an_earlier_trial_fits_by_what_it_was_trained_on(
    tmp_path: Path, there: Setting | None, here: Setting | None, reason: str | None
) -> None:
    """At the same path."""
    begun(tmp_path / "earlier", there)
    told = begun(tmp_path / "study", here, tmp_path / "earlier").earlier.describe()
    if reason is None:
        assert told.startswith("3 of 3 trials")
    else:
        assert told == (
            f"0 of 3 trials of earlier studies inform the sampler (3 do not fit: {reason})."
        )


def test_the_same_data_fit_wherever_they_lie(tmp_path: Path) -> None:
    begun(tmp_path / "earlier", SETTING)
    moved = replace(SETTING, data_path="/moved")
    ledger = begun(tmp_path / "study", moved, tmp_path / "earlier", data="/moved")
    assert ledger.earlier.describe().startswith("3 of 3 trials")
    unknown = begun(tmp_path / "other", None, tmp_path / "earlier", data="/moved")
    assert "0 of 3 trials" in unknown.earlier.describe()
    assert "other data, /data" in unknown.earlier.describe()


def test_an_earlier_study_may_move_and_no_other_may_take_its_place(tmp_path: Path) -> None:
    begun(tmp_path / "earlier", SETTING)
    taken = begun(tmp_path / "study", SETTING, tmp_path / "earlier").earlier
    moved = (tmp_path / "earlier").rename(tmp_path / "moved")
    again = begun(tmp_path / "study", SETTING, moved)
    assert again.earlier == taken
    assert len(again.records) == 3
    other = run(opened(study_of(search={"trials": 3, "seed": 5}), tmp_path / "other"))
    with pytest.raises(UserError, match=r"which are not in .*/other, as search\.start_from"):
        begun(tmp_path / "study", SETTING, other.folder.path)
    with pytest.raises(UserError, match=r"begun with search\.start_from"):
        begun(tmp_path / "study", SETTING, moved, other.folder.path)
    assert begun(tmp_path / "study", SETTING, moved).earlier == taken


@pytest.mark.parametrize(
    "damaged",
    ["", "{", "[]", "null", '{"fitting": 3, "others": {}}', '{"fitting": [{}], "others": {}}'],
)
def test_what_was_taken_and_cannot_be_read_is_one_sentence(
    earlier: Ledger, tmp_path: Path, damaged: str
) -> None:
    study = study_of(earlier.folder.path, search={"sampler": "tpe", "trials": 12})
    file = opened(study, tmp_path / "study").folder.earlier
    file.write_text(damaged)
    with pytest.raises(UserError, match=r"earlier\.json cannot be understood .* or remove it"):
        opened(study, tmp_path / "study")
    assert file.read_text() == damaged
    file.unlink()
    assert opened(study, tmp_path / "study").earlier.fitting


def test_a_folder_without_a_study_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"search\.start_from: .*/nowhere is no study's folder: it"):
        opened(study_of(tmp_path / "nowhere"), tmp_path / "study")


def test_folders_count_from_the_study_file_s(tmp_path: Path) -> None:
    file = tmp_path / "studies" / "mine.toml"
    file.parent.mkdir()
    file.write_text('[search]\nstart_from = ["../runs/a", "/runs/b"]\n')
    assert load_study(file).search.start_from == (str(tmp_path / "runs" / "a"), "/runs/b")
    override = f'search.start_from=["{tmp_path}/c"]'
    assert load_study(file, [override]).search.start_from == (str(tmp_path / "c"),)
    with pytest.raises(UserError, match="start_from must be a list of folders of earlier studies"):
        load_study(file, ["search.start_from=runs"])
