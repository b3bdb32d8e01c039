"""The processes of one trial: the trial itself is the first, and its helpers the others.

They live in the trial's own placement group and stay, as warm as the trial's worker, for the
trials that it runs next. Between them is torch's process group, which `Accelerator()` finds in
the usual environment variables.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import ray
from ray.util.placement_group import get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy


@cache
def gather(processes: int) -> tuple[Any, ...]:
    """The helpers of this worker, processes 1 to N-1, started once in its life."""
    if processes == 1:
        return ()
    group = get_current_placement_group()
    address = ray.util.get_node_ip_address()
    with socket.socket() as probe:
        probe.bind((address, 0))
        port = probe.getsockname()[1]
    helpers = []
    for rank in range(processes):
        environment = {
            "RANK": str(rank),
            "WORLD_SIZE": str(processes),
            "LOCAL_RANK": "0",  # each process sees its own device and no other
            "MASTER_ADDR": address,
            "MASTER_PORT": str(port),
        }
        if rank == 0:
            os.environ.update(environment)
            continue
        resources = group.bundle_specs[rank]
        strategy = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=rank)
        options = {
            "num_cpus": resources.get("CPU", 0),
            "num_gpus": resources.get("GPU", 0),
            "scheduling_strategy": strategy,
        }
        helpers.append(ray.remote(_Helper).options(**options).remote(environment))
    return tuple(helpers)


class _Helper:
    """One more process of a trial."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        os.environ.update(environment)

    def run(self, function: Callable[..., None], *arguments: Any) -> None:
        function(*arguments)
