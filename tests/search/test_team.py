"""The processes of one trial find each other, and stay."""

from __future__ import annotations

import os
from typing import Any

import pytest

from search.team import gather


def test_a_trial_of_one_process_has_no_helpers() -> None:
    before = dict(os.environ)
    assert gather(1) == ()
    assert dict(os.environ) == before


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_two_processes_add_up_and_are_the_same_two_the_next_time() -> None:
    import ray
    from ray.util.placement_group import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    # Functions inside a function travel to the workers, which do not have this file.
    def add_up(reported: Any) -> None:
        import torch
        import torch.distributed as dist

        if not dist.is_initialized():
            dist.init_process_group("gloo")
        total = torch.tensor([float(os.environ["RANK"]) + 1])
        dist.all_reduce(total)
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        seen = {name: os.environ[name] for name in names}
        ray.get(reported.add.remote({**seen, "pid": os.getpid(), "total": total.item()}))

    class Reported:
        def __init__(self) -> None:
            self.all: list[dict[str, Any]] = []

        def add(self, one: dict[str, Any]) -> None:
            self.all.append(one)

        def get(self) -> list[dict[str, Any]]:
            return self.all

    def first_process(reported: Any) -> None:
        for _ in range(2):
            helpers = gather(2)
            running = [helper.run.remote(add_up, reported) for helper in helpers]
            add_up(reported)
            ray.get(running)

    group = placement_group([{"CPU": 1}] * 2)
    reported = ray.remote(num_cpus=0)(Reported).remote()
    strategy = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=0)
    try:
        task = ray.remote(num_cpus=1, scheduling_strategy=strategy)(first_process)
        ray.get(task.remote(reported), timeout=120)
        seen = ray.get(reported.get.remote())
    finally:
        remove_placement_group(group)

    assert len(seen) == 4
    assert {one["total"] for one in seen} == {3.0}
    assert {(one["RANK"], one["WORLD_SIZE"], one["LOCAL_RANK"]) for one in seen} == {
        ("0", "2", "0"),
        ("1", "2", "0"),
    }
    assert len({one["pid"] for one in seen}) == 2
