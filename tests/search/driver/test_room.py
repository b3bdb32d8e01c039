"""What is told where no trial has a place."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import ray
from ray.air.execution.resources import PlacementGroupResourceManager, ResourceRequest

from search.driver import room as room_module
from search.driver.room import Room
from search.driver.run import run
from search.driver.tune_private import watched
from search.trials.study_folder import StudyFolder
from search.worker.placement import Claim, Node
from spaces import StudyFile
from tests.search.command import wait_for

BUSY = (
    "No trial has a place yet: one takes 1 CPU, and 0 of 2 CPU are free, since other work on the "
    "cluster has the rest. The search goes on as soon as there is room; Ctrl-C ends it, and "
    "--address local needs no one else's."
)
LOST = (
    "No node that is left has room for a trial, which takes 1 CPU: the search waits for one to "
    "join; Ctrl-C ends it, to go on elsewhere."
)


class Cluster:
    """A cluster whose clock goes a second on with every step of Tune's."""

    def __init__(self) -> None:
        self.nodes, self.free = [Node("a", {"CPU": 2.0})], [{"CPU": 0.0}]
        self.now = 0.0
        self.told: list[str] = []
        self.room = Room(
            Claim(1, 1, 0),
            self.told.append,
            lambda: self.nodes,
            lambda: self.free,
            lambda: self.now,
        )

    def steps(self, number: int, placed: bool = False) -> None:
        for _ in range(number):
            if not placed:
                self.room.has_none()
            self.room.on_step_end(0, [])
            self.now += 1


def test_who_waits_for_others_is_told_so_once_and_soon() -> None:
    cluster = Cluster()
    cluster.steps(9)
    assert cluster.told == []
    cluster.steps(60)
    assert cluster.told == [BUSY]
    assert cluster.room.waits_for == "waiting for 1 CPU; 0 of 2 CPU free"


def test_a_trial_with_a_place_ends_the_waiting() -> None:
    cluster = Cluster()
    cluster.steps(20)
    cluster.steps(1, placed=True)
    assert cluster.room.waits_for is None
    cluster.steps(9)
    assert cluster.told == [BUSY]
    cluster.steps(9)
    assert cluster.told == [BUSY, BUSY]


def test_a_cluster_that_lost_its_nodes_is_no_silence() -> None:
    cluster = Cluster()
    cluster.steps(20)
    cluster.nodes, cluster.free = [Node("head", {})], [{}]
    cluster.steps(20)
    assert cluster.told == [BUSY, LOST]
    assert cluster.room.waits_for == "waiting for a node with 1 CPU"


def test_what_is_free_but_on_no_node_enough_is_told_as_such() -> None:
    cluster = Cluster()
    cluster.room._claim = Claim(1, 2, 0)
    cluster.nodes = [Node("a", {"CPU": 2.0}), Node("b", {"CPU": 2.0})]
    cluster.free = [{"CPU": 1.0}, {"CPU": 1.0}]
    cluster.steps(20)
    (told,) = cluster.told
    assert "takes 2 CPU, and 2 of 4 CPU are free on 2 nodes, on none of them enough" in told


def test_where_there_is_room_ray_is_only_slow() -> None:
    cluster = Cluster()
    cluster.free = [{"CPU": 1.0}]
    cluster.steps(60)
    assert cluster.told == []
    assert cluster.room.waits_for is None


def test_a_place_that_is_kept_for_a_trial_is_not_other_work() -> None:
    cluster = Cluster()
    cluster.room.has_reserved = lambda: True
    cluster.steps(60)
    assert cluster.told == []
    assert cluster.room.waits_for is None


@ray.remote(num_cpus=2)
class Holder:
    """Other work on the cluster, which has all of its CPUs."""

    def is_there(self) -> bool:
        return True


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_ray_s_reservation_is_seen_before_tune_knows_of_it() -> None:
    room = Room(Claim(1, 1, 0), print)
    manager = PlacementGroupResourceManager()
    with watched(room):
        manager.request_resources(ResourceRequest([{"CPU": 100.0}]))
        assert not room.has_reserved()
        manager.request_resources(ResourceRequest([{"CPU": 1.0}]))
        wait_for(room.has_reserved)
    manager.clear()


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_a_search_on_a_cluster_that_is_taken_says_so_and_goes_on_when_there_is_room(
    tiny_study: Callable[..., StudyFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_module, "_PATIENCE", 0.5)
    holder = Holder.remote()
    assert ray.get(holder.is_there.remote())
    folder = StudyFolder(tmp_path / "run")
    study = tiny_study(search={"trials": 1}, space={"epochs": 1})
    search = threading.Thread(target=run, args=(study, folder), kwargs={"quiet": True})
    search.start()
    wait_for(lambda: folder.log.exists() and BUSY in folder.log.read_text())
    ray.kill(holder)
    search.join()
    (record,) = folder.records(study.space)
    assert record.state == "completed"
    assert len(re.findall("No trial has a place", folder.log.read_text())) == 1
