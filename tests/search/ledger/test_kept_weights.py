"""Only the best trials keep their weights, whatever the order in which they end."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.ledger.kept_weights import KeptWeights
from search.trials.record import Record, State, best_record, ranked
from search.trials.study_folder import StudyFolder

Ends = list[tuple[State, dict[float, float]]]
ENDS = st.lists(
    st.tuples(
        st.sampled_from(["completed", "stopped", "failed"]),
        st.dictionaries(st.sampled_from([0.5, 1, 2]), st.floats(0, 1)),
    ),
    max_size=8,
)


@given(ENDS, st.integers(1, 3), st.integers(0, 8))
def test_the_best_that_ended_keep_theirs(
    tmp_path_factory: pytest.TempPathFactory, ends: Ends, keep: int, before: int
) -> None:
    folder = StudyFolder(tmp_path_factory.mktemp("study"))
    records = [Record(f"{n:04d}", {}, *end) for n, end in enumerate(ends)]
    for record in records:
        folder.trial(record.id).checkpoint.mkdir(parents=True)
        (folder.trial(record.id).checkpoint / "best").touch()
    kept = KeptWeights(folder, keep, records[:before])
    for record in records[before:]:
        kept.add(record)
    ended = [r for r in records if r.state != "failed"]
    completed = [r for r in ended if r.state == "completed"]
    stopped = [r for r in ended if r.state == "stopped"]
    completed.sort(key=lambda r: -math.inf if r.last_score is None else r.last_score, reverse=True)
    stopped.sort(key=lambda r: (r.epoch, r.last_score or 0.0), reverse=True)
    measured = [r for r in completed if r.scores] + [r for r in stopped if r.scores]
    others = sorted((r for r in ended if not r.scores), key=lambda r: r.id)
    failed = {r.id for r in records if r.state == "failed"}
    have = {r.id for r in records if list(folder.trial(r.id).checkpoint.iterdir())}
    assert have == failed | {r.id for r in (measured + others)[:keep]}
    best = best_record(records)
    assert best is None or best.id in have


def test_the_trial_that_is_called_best_keeps_its_weights_not_the_one_with_the_best_epoch(
    tmp_path: Path,
) -> None:
    folder = StudyFolder(tmp_path)
    peaked = Record("0000", {}, "completed", {1: 0.5, 2: 0.9, 3: 0.6})
    best = Record("0001", {}, "completed", {1: 0.5, 2: 0.6, 3: 0.7})
    undefined = Record("0002", {}, "completed", {1: 0.5, 2: 0.6, 3: math.nan})
    for record in (peaked, best, undefined):
        folder.trial(record.id).checkpoint.mkdir(parents=True)
        (folder.trial(record.id).checkpoint / "best").touch()
    KeptWeights(folder, 1, [peaked, best, undefined])
    assert best_record([peaked, best, undefined]) is best
    assert [r.id for r in ranked([undefined, peaked, best])] == ["0001", "0000", "0002"]
    assert [f.parent.parent.name for f in folder.trials.rglob("best")] == ["0001"]
