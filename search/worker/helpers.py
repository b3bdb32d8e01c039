"""The processes of one trial: the trial itself is the first, and its helpers the others.

They live in the trial's own placement group and stay, as warm as the trial's worker, for the
trials that it runs next. Between them is torch's process group, which `Accelerator()` finds in
the usual environment variables.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import ray
from ray.util.placement_group import get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from model import Launch, Meeting, settle


@dataclass(frozen=True)
class Team:
    """The helpers of a worker, processes 1 to N-1, and what they meet at, which must be kept."""

    helpers: tuple[Any, ...] = ()
    meeting: Meeting | None = None


class MeetingError(Exception):
    """The processes of a trial did not find each other, which no configuration is to blame for."""


@cache
def gather(processes: int) -> Team:
    """The team of this worker, gathered once in its life."""
    settle(os.environ, None)  # what the user's shell or batch job left behind is no team
    if processes == 1:
        return Team()
    group = get_current_placement_group()
    address = ray.util.get_node_ip_address()
    meeting = Meeting(address)
    helpers = []
    for rank in range(1, processes):
        resources = group.bundle_specs[rank]
        strategy = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=rank)
        options = {
            "num_cpus": resources.get("CPU", 0),
            "num_gpus": resources.get("GPU", 0),
            "scheduling_strategy": strategy,
        }
        launch = _launch(rank, processes, address, meeting.port)
        helpers.append(ray.remote(_Helper).options(**options).remote(launch))
    settle(os.environ, _launch(0, processes, address, meeting.port))
    return Team(tuple(helpers), meeting)


def _launch(rank: int, processes: int, address: str, port: int) -> Launch:
    # Each process sees its own device and no other.
    return Launch(rank, processes, 0, address, port, is_hosted=True)


class _Helper:
    """The Ray actor of one more process of a trial."""

    def __init__(self, launch: Launch) -> None:
        settle(os.environ, None)
        settle(os.environ, launch)

    def run(self, function: Callable[..., None], *arguments: Any) -> None:
        function(*arguments)
