"""What holds for every sampler of a search: a class of tests that each one's inherits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from search.ledger.ledger import Ledger
from search.trials.study_folder import StudyFolder
from spaces import StudyFile, Value, parse_study

_FINITE: dict[str, Any] = {
    "pooling": ["mean", "cls"],
    "smart": [False, True],
    "smart_steps": {"low": 1, "high": 3},
    "max_length": {"low": 31, "high": 32, "log": True},
}  # 2 * (1 + 3) * 2 = 16 configurations
_ENDLESS: dict[str, Any] = {
    "loss_weighting": ["equal", "tuned"],
    "loss_weights": "free",
    "encoder_learning_rate": "free",
    "early_stopping": {"low": 0, "high": 9},
    "trainable_layers": ["all", "none"],
    "warmup": {"low": 0.1, "high": 0.1},
}
_EPOCHS = 3


class SamplerLaws:
    """The laws; a class that inherits them names a sampler of `search.sampler`."""

    sampler: ClassVar[str]
    takes_endless_spaces: ClassVar[bool] = True

    def study(self, space: Mapping[str, Any], trials: int, seed: int = 0) -> StudyFile:
        search = {"sampler": self.sampler, "trials": trials, "seed": seed}
        return parse_study({"space": {"epochs": _EPOCHS, **space}, "search": search}, "s", "s")

    def space(self) -> Mapping[str, Any]:
        return _ENDLESS if self.takes_endless_spaces else _FINITE

    def test_what_it_proposes_is_in_the_space_and_plain(self, tmp_path: Path) -> None:
        """The active factors and no others, each of its domain, as a journal can hold them."""
        for name, space in (("finite", _FINITE), ("its own", self.space())):
            study = self.study(space, 14)
            values = searched(study, tmp_path / name)
            assert len(values) == 14
            for point in values:
                assert study.space.check(point, "here") == point
                assert json.loads(json.dumps(point)) == {
                    n: list(v) if isinstance(v, tuple) else v for n, v in point.items()
                }
                kinds = {n: type(getattr(study.space.config(point), n)) for n in point}
                assert {n: type(v) for n, v in point.items()} == kinds

    def test_a_finite_space_is_run_once_and_whole(self, tmp_path: Path) -> None:
        """Though some trials fail, some are stopped, and several run at once."""
        study = self.study(_FINITE, 100)
        values = searched(study, tmp_path, workers=3)
        assert len(values) == len({*map(repr, values)}) == study.trials == 16

    def test_the_seed_decides(self, tmp_path: Path) -> None:
        found = [
            searched(self.study(self.space(), 11, seed), tmp_path / f"{n}")
            for n, seed in enumerate((7, 7, 8))
        ]
        assert found[0] == found[1]
        assert (found[0] == found[2]) == (self.sampler == "grid")

    def test_a_search_that_was_interrupted_proposes_the_same(self, tmp_path: Path) -> None:
        study = self.study(self.space(), 12)
        whole = searched(study, tmp_path / "whole")
        for trials in (1, 5, 10, 12):
            parts = searched(study, tmp_path / "parts", trials=trials)
            assert parts == whole[: len(parts)]
        assert parts == whole

    def test_it_goes_on_where_all_trials_fail(self, tmp_path: Path) -> None:
        values = searched(self.study(self.space(), 12), tmp_path, good=0)
        assert len(values) == len({*map(repr, values)}) == 12

    def test_nothing_free_is_one_trial(self, tmp_path: Path) -> None:
        assert searched(self.study({}, 5), tmp_path / "none") == [{}]
        one: dict[str, Any] = {"jaccard": [True], "pooled_layers": {"low": 2, "high": 2}}
        assert searched(self.study(one, 5), tmp_path / "one") == [
            {"pooled_layers": 2, "jaccard": True}
        ]


def searched(
    study: StudyFile, path: Path, trials: int = 10**6, workers: int = 1, good: int = 4
) -> list[dict[str, Value]]:
    """The values of all trials once the study has so many, where of each five in a row `good` do
    not fail and of these the scheduler stops some."""
    folder = StudyFolder(path)
    folder.open(study)
    ledger = Ledger(study, folder)
    running: list[str] = []
    while True:
        while len(running) < workers and len(ledger.records) < trials:
            record = ledger.next()
            if record is None:
                break
            ledger.start(record.id)
            running.append(record.id)
        if not running:
            break
        for id in list(running):
            record = ledger.records[id]
            epoch = int(record.epoch) + 1
            fails = int(id) % 5 >= good
            goes_on = not fails and ledger.report(id, epoch, (int(id) * 37 % 11 + epoch) / 20)
            if not goes_on or epoch == _EPOCHS:
                ledger.end(id, "it diverged" if fails else None)
                running.remove(id)
    ledger.close()
    return [dict(record.values) for record in ledger.records.values()]


def inherited() -> pytest.MarkDecorator:
    """For a class of Optuna's own tests of samplers, which let warnings pass."""
    return pytest.mark.filterwarnings("ignore")
