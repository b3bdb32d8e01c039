"""A study in Python is the study of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

import search
from search.ledger.ledger import Ledger
from search.study import Study
from spaces import UserError, load_study, parse_study


def test_it_is_exported() -> None:
    assert search.Study is Study
    with pytest.raises(AttributeError, match="Stduy"):
        search.Stduy  # noqa: B018


def test_it_takes_a_packaged_name_and_overrides() -> None:
    study = Study("quickstart", set=["search.trials=3", "epochs=2"])
    assert study.file == load_study("quickstart", ["search.trials=3", "epochs=2"])
    assert study.folder.path == Path("runs/quickstart")


def test_it_takes_a_parsed_study_and_a_folder(tmp_path: Path) -> None:
    file = parse_study({}, "mine", "mine")
    study = Study(file, tmp_path)
    assert study.file is file
    assert study.folder.path == tmp_path


def test_a_mistake_is_a_user_error() -> None:
    with pytest.raises(UserError, match=r"search\.trials"):
        Study("quickstart", set=["search.trails=3"])


def test_records_best_and_configuration_come_from_the_folder(tmp_path: Path) -> None:
    tables = {"space": {"epochs": 1, "jaccard": [True, False]}, "search": {"sampler": "grid"}}
    study = Study(parse_study(tables, "mine", "mine"), tmp_path)
    with pytest.raises(UserError, match="nothing was searched"):
        study.records()
    study.folder.open(study.file)
    ledger = Ledger(study.file, study.folder)
    for score in (0.2, 0.4):
        trial = ledger.next()
        assert trial is not None
        ledger.report(trial.id, 1, score)
        ledger.end(trial.id)

    assert [record.last_score for record in study.records()] == [0.2, 0.4]
    assert study.best is not None
    assert study.best.values == {"jaccard": False}
    assert not study.config(study.best).jaccard
    assert study.report().is_file()
