"""The head of the cluster is looked after: a short silence is none, a long one ends the search."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.tune.experiment import Trial

from search.driver.interruption import SECONDS_TO_SAVE, Interruption
from search.nodes import head_watch
from search.nodes.cluster_error import ClusterError
from search.nodes.head_watch import HeadWatch
from search.nodes.ray_cluster import _telling_of
from search.worker.end_request import EndRequest
from spaces import UserError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Head:
    """A head, and who looks after it; it is ended for good at `ended`."""

    def __init__(self) -> None:
        self.clock, self.is_there, self.ended = Clock(), True, list[float]()
        self.watch = HeadWatch(
            "10.0.0.7:6379",
            60.0,
            lambda: self.is_there,
            lambda: self.ended.append(self.clock.now),
            self.clock,
        )

    def look_until(self, second: float) -> None:
        while self.clock.now < second:
            self.clock.now += 2.0
            self.watch.look()


@pytest.fixture
def head() -> Head:
    return Head()


def test_a_head_that_starts_again_loses_nobody(head: Head) -> None:
    head.look_until(20)
    head.is_there = False
    head.look_until(46)
    assert head.watch.is_silent
    head.is_there = True
    head.look_until(48)
    head.is_there = False
    head.look_until(70)
    assert not head.watch.is_lost
    assert head.ended == []


def test_a_lost_head_leaves_time_to_save_and_ends_the_process_before_ray_does(head: Head) -> None:
    head.is_there = False
    head.look_until(30)
    assert not head.watch.is_lost
    head.look_until(34)
    assert head.watch.is_lost
    assert head.ended == []
    head.look_until(54)
    assert 34 + SECONDS_TO_SAVE <= head.ended[0] < 60


def test_trials_are_asked_to_save_themselves_and_no_other_starts(
    head: Head, tmp_path: Path
) -> None:
    told: list[str] = []
    request = EndRequest(tmp_path / ".end")
    interruption = Interruption(request, told.append, lambda: head.watch.is_lost)
    trial = SimpleNamespace(config={"id": "0000"}, status=Trial.RUNNING)
    interruption.on_step_end(0, [trial])
    assert not interruption.is_ending
    head.is_there = False
    head.look_until(34)
    interruption.on_step_end(1, [trial])
    assert interruption.is_ending
    assert request.is_made
    assert not interruption.stop_all()
    assert told[0].startswith("The cluster's head does not answer: 1 running trial(s) save")
    trial.status = Trial.TERMINATED
    interruption.on_step_end(2, [trial])
    assert interruption.stop_all()
    assert interruption.is_cut_off
    assert not interruption.asked


def test_what_ray_raises_meanwhile_is_one_sentence(head: Head) -> None:
    with pytest.raises(ZeroDivisionError), _telling_of(head.watch):
        raise ZeroDivisionError
    head.is_there = False
    head.look_until(2)
    with pytest.raises(UserError), _telling_of(head.watch):
        raise UserError("a sentence of ours")
    with (
        pytest.raises(ClusterError, match=r"cluster, 10\.0\.0\.7:6379, does not answer any more"),
        _telling_of(head.watch),
    ):
        raise RuntimeError("Failed to get the system config from raylet")


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def test_it_answers_as_long_as_it_listens(server: socket.socket) -> None:
    address = f"127.0.0.1:{server.getsockname()[1]}"
    assert head_watch._answers(address)
    server.close()
    assert not head_watch._answers(address)
    assert not head_watch._answers("no such machine.invalid:1")


HANGS = """
import logging, sys, threading, time
from pathlib import Path
from search.nodes.head_watch import HeadWatch, _end
logging.getLogger("ablatune").addHandler(logging.NullHandler())
watch = HeadWatch("10.0.0.7:6379", 0.0, lambda: False, lambda: _end(watch))
watch.left += map(Path, sys.argv[1:])
threading.Thread(target=watch.look).start()
time.sleep(600)
"""


def test_a_process_that_hangs_in_a_call_ends_with_the_sentence(tmp_path: Path) -> None:
    (tmp_path / ".end").touch()
    (tmp_path / "scratch" / "deep").mkdir(parents=True)
    paths = [str(tmp_path / name) for name in (".end", "scratch", "gone")]
    done = subprocess.run(
        [sys.executable, "-c", HANGS, *paths], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("error: The head of the Ray cluster, 10.0.0.7:6379, does not answer")
    assert list(tmp_path.iterdir()) == []
