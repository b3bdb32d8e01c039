"""Ray, started here or joined."""

from __future__ import annotations

import logging
import os
import signal
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from model import usable_cpus
from search.nodes.alive import nodes
from search.nodes.cluster_error import ClusterError
from search.nodes.head_watch import HeadWatch, watched_head
from search.nodes.ray_address import LOCAL
from search.nodes.ray_folder import last_words, ray_folder
from search.nodes.ray_head import Joinable
from search.nodes.ray_private import OwnImports, ray_speaks_to, signals_stay_ours, writing_to
from search.nodes.ray_processes import deaf_processes
from search.nodes.ray_token import provide_token
from search.nodes.signals import handling
from search.worker.environment import WORKER_ENVIRONMENT
from search.worker.placement import Claim
from spaces import ResourceSettings, UserError, shortened

_log = logging.getLogger("ablatune")


def placeable_claim(resources: ResourceSettings) -> Claim:
    """What a trial takes, which at least one place in the cluster must have."""
    there = nodes()
    claim = Claim.of(resources, any(node.resources.get("GPU", 0) for node in there))
    if (why_not := claim.refuse(there)) is not None:
        raise UserError(why_not)
    return claim


@contextmanager
def ray_cluster(joined: Joinable | None) -> Iterator[HeadWatch]:
    """Start Ray on this machine or join a cluster; what was started here ends with the block. The
    result is the watch over its head.

    Raises:
        UserError: if the cluster cannot be joined any more.
        ClusterError: if Ray does not start, or is gone in the middle.
    """
    if ray.is_initialized():  # a caller's own cluster
        with ray_speaks_to(_log), watched_head() as head, _telling_of(head):
            yield head
        return
    with ExitStack() as ends:
        folder = ends.enter_context(ray_folder()) if joined is None else None
        try:
            with signals_stay_ours():
                if folder is None:
                    assert joined is not None
                    _join(joined)
                else:
                    _start(folder)
            head = ends.enter_context(watched_head())  # until after Ray's own end, which may hang
            with ray_speaks_to(_log), _telling_of(head):
                yield head
        finally:
            with handling(signal.SIG_IGN):  # Half of an end would leave more than all of it.
                ray.shutdown()


@contextmanager
def _telling_of(head: HeadWatch) -> Iterator[None]:
    """Whatever Ray raises while its head is silent is due to that. Else its own errors, such as no
    room for objects, are the machine's; but what our code raised in a task is a fault of ours."""
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:
        if head.is_silent:
            raise ClusterError(head.sentence) from error
        if isinstance(error, RayError) and not isinstance(error, RayTaskError):
            _log.exception("Ray failed")
            raise ClusterError(
                f"Ray failed ({_first_line(error)}); log.txt in the study's folder says more. Once "
                "that is mended, the same command goes on."
            ) from error
        raise


def _start(folder: Path) -> None:
    """A cluster of this machine, which has what it writes in a folder."""
    try:
        provide_token(folder)
        # Inherited, and not in a runtime environment of Ray's: the workers that Ray starts ahead
        # are then those that the trials need.
        with _environment(WORKER_ENVIRONMENT), deaf_processes():
            ray.init(
                address=LOCAL,
                include_dashboard=False,
                num_cpus=usable_cpus(),
                **writing_to(folder),
                **_common(),
            )
    except Exception as error:  # Ray's own are of many kinds.
        for line in (*traceback.format_exc().splitlines(), *last_words(folder)):
            _log.error("%s", line)
        why = shortened(" ".join(str(error).split())) or type(error).__name__
        raise ClusterError(
            f"Ray could not be started on this machine ({why.rstrip('.')}); it needs room in "
            f"{folder.parent} and /dev/shm, processes and free ports."
        ) from error


def _join(joined: Joinable) -> None:
    environment = {"env_vars": WORKER_ENVIRONMENT}
    try:
        ray.init(address=joined.address, runtime_env=environment, **_common())
    except (ConnectionError, RuntimeError, RayError) as error:  # It has gone since the look at it.
        why = _first_line(error)
        raise UserError(f"The Ray cluster at {joined.address} was not joined: {why}.") from None


def _first_line(error: Exception) -> str:
    return shortened(str(error).strip().partition("\n")[0]).rstrip(".") or type(error).__name__


def _common() -> dict[str, Any]:
    return {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "job_config": OwnImports(),
    }


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
