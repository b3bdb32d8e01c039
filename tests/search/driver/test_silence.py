"""What counts as hanging."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from search.driver.silence import Silence


class Time:
    """A clock, and signs of life, in the test's hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.signs: dict[str, int] = {}

    def silence(self, limit: float | None = None) -> Silence:
        return Silence(lambda trial: self.signs.get(trial), limit, lambda: self.now)

    def pass_(self, silence: Silence, seconds: float, step: float = 5) -> Iterator[list[str]]:
        for _ in range(round(seconds / step)):
            self.now += step
            yield silence.check()


@pytest.fixture
def time() -> Time:
    return Time()


def test_who_gives_no_sign_for_longer_than_the_limit_is_named(time: Time) -> None:
    silence = time.silence(limit=100)
    silence.start("a")
    silence.start("b")
    for found in time.pass_(silence, 100):
        time.signs["b"] = int(time.now)
        assert found == []
    assert list(time.pass_(silence, 5)) == [["a"]]
    silence.end("a")
    assert list(time.pass_(silence, 5)) == [[]]


def test_by_itself_the_limit_follows_the_longest_silence_that_was_broken(time: Time) -> None:
    silence = time.silence()
    assert silence.limit == 600
    silence.start("a")
    assert not any(time.pass_(silence, 300))
    time.signs["a"] = 1
    silence.check()
    assert silence.limit == 3000


def test_who_sleeps_with_the_driver_is_not_silent(time: Time) -> None:
    silence = time.silence(limit=100)
    silence.start("a")
    time.now += 3600
    assert silence.check() == []
