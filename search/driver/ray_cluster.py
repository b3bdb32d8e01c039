"""Ray, started here or joined."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import ray
from ray.exceptions import RayError

from model import usable_cpus
from search.driver.ray_address import LOCAL
from search.driver.ray_folder import ray_folder
from search.driver.ray_head import Joinable
from search.driver.ray_private import (
    OwnImports,
    ray_speaks_to,
    signals_stay_ours,
    writing_to,
)
from search.driver.ray_processes import deaf_processes
from search.driver.room import nodes
from search.driver.signals import handling
from search.worker.environment import WORKER_ENVIRONMENT
from search.worker.placement import Claim
from spaces import ResourceSettings, UserError

_log = logging.getLogger("ablatune")


def placeable_claim(resources: ResourceSettings) -> Claim:
    """What a trial takes, which at least one place in the cluster must have."""
    there = nodes()
    claim = Claim.of(resources, any(node.resources.get("GPU", 0) for node in there))
    if (why_not := claim.refuse(there)) is not None:
        raise UserError(why_not)
    return claim


@contextmanager
def ray_cluster(joined: Joinable | None) -> Iterator[None]:
    """Start Ray on this machine or join a cluster; what was started here ends with the block."""
    if ray.is_initialized():  # a caller's own cluster
        with ray_speaks_to(_log):
            yield
        return
    with ExitStack() as ends:
        local = ends.enter_context(_own_ray()) if joined is None else {}
        with signals_stay_ours():
            _connect(joined, local)
        try:
            with ray_speaks_to(_log):
                yield
        finally:
            with handling(signal.SIG_IGN):  # Half of an end would leave more than all of it.
                ray.shutdown()


@contextmanager
def _own_ray() -> Iterator[dict[str, Any]]:
    """How Ray is started on this machine."""
    with ray_folder() as folder:
        yield {
            "include_dashboard": False,
            "num_cpus": usable_cpus(),
            **writing_to(folder),
        }


def _connect(joined: Joinable | None, local: Mapping[str, Any]) -> None:
    common: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "job_config": OwnImports(),
    }
    if joined is None:
        # Inherited, and not in a runtime environment of Ray's: the workers that Ray starts ahead
        # are then those that the trials need.
        with _environment(WORKER_ENVIRONMENT), deaf_processes():
            ray.init(address=LOCAL, **local, **common)
        return
    environment = {"env_vars": WORKER_ENVIRONMENT}
    try:
        ray.init(address=joined.address, runtime_env=environment, **common)
    except (ConnectionError, RuntimeError, RayError) as error:  # It has gone since the look at it.
        why = str(error).strip().partition("\n")[0]
        raise UserError(f"The Ray cluster at {joined.address} was not joined: {why}") from None


def whose(joined: Joinable) -> str:
    return (
        f"The Ray cluster at {joined.address} is that of another program on this machine, such as "
        "another search, and ends with it; --address local starts one of this search's own."
    )


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables inside the block, for the processes that are started there."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]
        os.environ.update(before)
