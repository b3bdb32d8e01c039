"""What is told of all trials is what looking at each of them says."""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.records import Record, State, best_record
from search.tally import ENDED, Tally

_numbers = count()


def record(
    state: State, epoch: int, started: float | None = None, ended: float | None = None
) -> Record:
    scores = dict.fromkeys(range(1, epoch + 1), 0.5)
    return Record(f"{next(_numbers):04d}", {}, state, scores, started=started, ended=ended)


def left(records: list[Record], trials: int) -> float | None:
    return Tally(records).seconds_left(trials, epochs=4)


def test_time_left_by_hand() -> None:
    ended = [record("completed", 4, 0, 40), record("stopped", 2, 10, 30)]  # 10 s an epoch, 3 each
    assert left(ended, trials=2) == 0
    assert left(ended, trials=4) == 2 * 3 * 10
    running = [record("running", 1, 30), record("running", 3, 30)]
    # 2 epochs and at least half a one are left, on two workers.
    assert left([*ended, *running], trials=4) == 2.5 * 10 / 2
    # The same with two more trials to come, and one that waits.
    waiting = record("waiting", 0)
    assert left([*ended, *running, waiting], trials=7) == (2.5 + 9) * 10 / 2


def test_time_left_is_unknown_before_any_trial_has_ended() -> None:
    assert left([], trials=4) is None
    assert left([record("running", 3, 0)], trials=4) is None
    assert left([record("failed", 0, 0, 5)], trials=4) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(ENDED),
            st.lists(st.floats(0, 1), max_size=4),
            st.booleans(),  # whether it ends
        ),
        max_size=12,
    )
)
def test_a_tally_kept_from_the_beginning_is_that_of_all(
    trials: list[tuple[State, list[float], bool]],
) -> None:
    kept, records = Tally(), []
    for number, (state, scores, ends) in enumerate(trials):
        one = Record(f"{number:04d}", {}, "running", started=1.0)
        records.append(one)
        kept.add(one)
        one.scores.update(enumerate(scores[:3], start=1))
        if ends:
            one.state, one.ended = state, 2.0 + number
            if state == "completed":  # all of these had the whole budget
                one.scores[4] = scores[-1] if scores else 0.0
            kept.add(one)
    anew = Tally(records)
    for tally in (kept, anew):
        assert tally.counts == Counter(r.state for r in records)
        assert tally.ended == sum(r.ended is not None for r in records)
        assert tally.epochs == sum(r.epoch for r in records)
        assert list(tally.latest) == [r for r in records if r.ended][-8:]
        best, expected = tally.best, best_record(records)
        assert (best and (best.epoch, best.last_score)) == (
            expected and (expected.epoch, expected.last_score)
        )
    assert kept.seconds_left(20, 4) == pytest.approx(anew.seconds_left(20, 4))
