"""What is told of all trials is what looking at each of them says."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from search.trials.record import Record, State, best_record
from search.trials.tally import ENDED, Tally


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
        assert tally.ended_epochs == sum(r.epoch for r in records if r.ended)
        completed = [r.last_score or 0.0 for r in records if r.state == "completed"]
        assert [score for _, score in tally.maxima] == [
            score for n, score in enumerate(completed) if all(score > s for s in completed[:n])
        ]
