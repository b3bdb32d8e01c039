"""All that reaches into private parts of Ray's core, which any new version may change.

`tests/search/nodes/test_ray_private.py` tells what is relied on, and fails with a sentence where
it is so no more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import _raylet
from ray._private import services, state, utils, worker
from ray._private.authentication.authentication_token_setup import (
    maybe_enable_token_auth_if_token_available,
)
from ray.job_config import JobConfig

import ablatune

_LOGGERS = ("ray", "ray.data", "ray.train", "ray.tune")  # each has handlers of its own

# Compiled, with types that do not name all that is in there.
_GcsClient: Any = vars(_raylet)["GcsClient"]
_TokenLoader: Any = vars(_raylet)["AuthenticationTokenLoader"]
_RayConfig: Any = vars(_raylet)["Config"]

RayProcess: Any = services.ConsolePopen
"""One of Ray's own processes, as Ray starts it: always with a `preexec_fn`."""


@contextmanager
def ray_speaks_to(log: logging.Logger) -> Iterator[None]:
    """Send what Ray says into a log: of its own loggers, and of its nodes' messages, which it would
    print."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(logger, logger.handlers, logger.propagate) for logger in loggers]
    print_message = worker.print_to_stdstream

    def to_log(message: dict[str, Any], *_options: Any, **_more: Any) -> None:
        for line in message["lines"]:
            log.info("Ray: %s", line.strip())

    for logger in loggers:
        logger.handlers, logger.propagate = [*log.handlers], False
    worker.print_to_stdstream = to_log
    try:
        yield
    finally:
        worker.print_to_stdstream = print_message
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate


@contextmanager
def signals_stay_ours() -> Iterator[None]:
    """Keep Ray, while it starts or joins a cluster, from taking SIGTERM for itself."""
    set_handler = utils.set_sigterm_handler
    utils.set_sigterm_handler = lambda _handler: None
    try:
        yield
    finally:
        utils.set_sigterm_handler = set_handler


@contextmanager
def processes_started_as(kind: type[Any]) -> Iterator[None]:
    """Have Ray start its processes on this machine as a kind of ours meanwhile."""
    popen = services.ConsolePopen
    services.ConsolePopen = kind
    try:
        yield
    finally:
        services.ConsolePopen = popen


class OwnImports(JobConfig):  # type: ignore[misc]
    """Has Ray's workers import what the driver has imported: puts the folder of our packages first
    on the workers' path, and nothing else on it.

    Ray itself puts the driver's working folder there, and with it whatever `model.py`, `random.py`
    or `torch/` the user has in it. On a node without this folder, the packages are found where they
    are installed.
    """

    def __init__(self) -> None:
        super().__init__(_py_driver_sys_path=[ablatune.ROOT])

    def _runtime_env_has_working_dir(self) -> bool:
        """Then Ray adds no folder of its own."""
        return True


def writing_to(folder: Path) -> dict[str, str]:
    """What `ray.init` is told so that all that a new cluster writes is in a folder of ours."""
    return {"_temp_dir": str(folder)}


def free_on_nodes() -> list[dict[str, float]]:
    """What is free on each node that lives; Ray tells others only the sum."""
    found: dict[str, dict[str, float]] = state.available_resources_per_node()
    return list(found.values())


def clusters_here() -> list[str]:
    """The addresses of the clusters that have processes on this machine now."""
    services._thread_safe_find_gcs_addresses_cache_clear()
    return sorted(services.find_gcs_addresses())


def last_started_here() -> str | None:
    """The address of the cluster that the last `ray start` on this machine was for."""
    address: str | None = services.find_bootstrap_address(None)
    return address


def nodes_here() -> set[str]:
    """The ids of the nodes that run on this machine, of whatever cluster."""
    return set(services.find_node_ids())


def has_token() -> bool:
    """Whether there is a token to show to a cluster, whatever the mode.

    Raises:
        ray.exceptions.AuthenticationError: where the environment names a file that has none.
    """
    return bool(_TokenLoader.instance().has_token(ignore_auth_mode=True))


def forget_token() -> None:
    """Have Ray read the environment and the token's file again, which it remembers."""
    _RayConfig.initialize("")
    _TokenLoader.instance().reset_cache()


def show_token() -> None:
    """Show the token, where there is one and the environment does not say otherwise. Ray does so by
    itself only to a cluster that it has found on this machine."""
    maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def ask_head(address: str, seconds: float) -> tuple[bytes | None, list[tuple[str, str]]]:
    """What a cluster's head says of itself, in JSON, and the id and the address of each node that
    lives. It takes at most so many seconds for each of both."""
    client = _GcsClient(address=address)
    about = client.internal_kv_get(b"CLUSTER_METADATA", b"cluster", timeout=seconds)
    nodes = client.get_all_node_info(timeout=seconds).values()
    alive = [node for node in nodes if node.state == node.ALIVE]
    return about, [(node.node_id.hex(), node.node_manager_address) for node in alive]
