"""Only the best trials keep their weights, whatever the order in which they end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.kept import KeptWeights
from search.records import Record, State
from search.study_folder import StudyFolder

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
    completed.sort(key=lambda r: r.best_score or 0.0, reverse=True)
    stopped.sort(key=lambda r: (r.epoch, r.best_score or 0.0), reverse=True)
    failed = {r.id for r in records if r.state == "failed"}
    have = {r.id for r in records if list(folder.trial(r.id).checkpoint.iterdir())}
    assert have == failed | {r.id for r in (completed + stopped)[:keep]}
