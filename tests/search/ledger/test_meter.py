"""What searches of a study took is known to the next one."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import search.ledger.meter
from search.ledger.meter import Meter, Spent, read_spent


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=5.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(search.ledger.meter, "time", clock)
    return clock


def test_seconds_and_cost_by_hand(tmp_path: Path, clock: SimpleNamespace) -> None:
    meter = Meter(tmp_path / "spent.json", price=7.2)  # 0.002 a second and node
    clock.now += 10
    meter.tick(lambda: 3)  # one node until now, three from here on
    clock.now += 20
    spent = meter.spent
    assert spent.seconds == 30
    assert spent.cost == pytest.approx(10 * 0.002 + 20 * 3 * 0.002)


def test_without_a_price_nothing_costs(tmp_path: Path, clock: SimpleNamespace) -> None:
    meter = Meter(tmp_path / "spent.json", price=None)
    clock.now += 3600
    assert meter.spent == Spent(3600, 0)


def test_a_search_that_is_killed_forgets_at_most_ten_seconds(
    tmp_path: Path, clock: SimpleNamespace
) -> None:
    file = tmp_path / "spent.json"
    meter = Meter(file, price=1.0)
    for _ in range(95):
        clock.now += 1
        meter.tick(lambda: 1)
    assert read_spent(file).seconds == 90
    again = Meter(file, price=1.0)
    clock.now += 4
    assert again.spent.seconds == 94


def test_what_cannot_be_read_or_written_does_not_end_a_search(tmp_path: Path) -> None:
    file = tmp_path / "spent.json"
    odd = ['{"seconds": "3"}', '{"seconds": -1}', '{"seconds": null}', "\x00\x00", "[" * 9000]
    for torn in ("", "[1]", '{"seconds": 3', '{"minutes": 3}', '{"cost": Infinity}', *odd):
        file.write_text(torn)
        assert read_spent(file) == Spent()
    Meter(tmp_path / "nowhere" / "spent.json", None).write()
    meter = Meter(file, None)
    meter.write()
    assert json.loads(file.read_text()).keys() == {"seconds", "cost"}
    assert list(tmp_path.iterdir()) == [file]
