"""Whether the cluster has room for trials, and what the user is told where it has none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import ray
from ray.air.execution.resources.placement_group import PlacementGroupResourceManager
from ray.tune import Callback
from ray.tune.execution.insufficient_resources_manager import _InsufficientResourcesManager
from ray.util import placement_group_table

from search.driver.tune_patches import Unsaved
from search.worker.placement import Claim, Node

_PATIENCE = 10.0  # seconds in which Ray itself may not have come to it
_SECONDS_BETWEEN_LOOKS = 5.0


def nodes() -> list[Node]:
    """Those that live."""
    return [Node(n["NodeManagerAddress"], n["Resources"]) for n in ray.nodes() if n["Alive"]]


def free() -> list[dict[str, float]]:
    """What is free on each node that lives."""
    found: dict[str, dict[str, float]] = ray._private.state.available_resources_per_node()
    return list(found.values())


class Room(Unsaved, Callback):  # type: ignore[misc]
    """Looks, while no trial has a place anywhere, for what is in the way, and tells it once."""

    def __init__(
        self,
        claim: Claim,
        tell: Callable[[str], None],
        nodes: Callable[[], list[Node]] = nodes,
        free: Callable[[], list[dict[str, float]]] = free,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._claim, self._tell = claim, tell
        self._nodes, self._free, self._clock = nodes, free, clock
        self._has_none = False
        self._since: float | None = None
        self._looked = -_SECONDS_BETWEEN_LOOKS
        self._told: str | None = None
        self.has_reserved: Callable[[], bool] = lambda: False
        """Whether a place is kept for a trial already, which Ray has yet to hand over."""
        self.waits_for: str | None = None
        """What is waited for, in few words; None where trials have their places."""

    def has_none(self) -> None:
        """In this step Tune waits, and no trial has a place."""
        self._has_none = True

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        has_none, self._has_none = self._has_none, False
        if not has_none:
            self._since = self._told = self.waits_for = None
            return
        now = self._clock()
        if self._since is None:
            self._since = now
        if now - self._since < _PATIENCE or now - self._looked < _SECONDS_BETWEEN_LOOKS:
            return
        self._looked = now
        self._say(*self._why())

    def _why(self) -> tuple[str | None, str | None]:
        """In few words and in a sentence."""
        nodes = self._nodes()
        takes = self._claim.describe()
        if not self._claim.trials_on(node.resources for node in nodes):
            return f"waiting for a node with {takes}", (
                f"No node that is left has room for a trial, which takes {takes}: the search waits "
                "for one to join; Ctrl-C ends it, to go on elsewhere."
            )
        free = self._free()
        if self._claim.trials_on(free) or self.has_reserved():
            return None, None
        kinds = " and ".join(
            f"{sum(node.get(kind, 0.0) for node in free):g} of "
            f"{sum(node.resources.get(kind, 0.0) for node in nodes):g} {kind}"
            for kind in self._claim.bundle
        )
        within = "" if len(nodes) == 1 else f" on {len(nodes)} nodes, on none of them enough"
        return f"waiting for {takes}; {kinds} free", (
            f"No trial has a place yet: one takes {takes}, and {kinds} are free{within}, since "
            "other work on the cluster has the rest. The search goes on as soon as there is room; "
            "Ctrl-C ends it, and --address local needs no one else's."
        )

    def _say(self, words: str | None, sentence: str | None) -> None:
        self.waits_for = words
        kind = None if words is None else words.partition(";")[0]
        if sentence is not None and kind != self._told:
            self._tell(sentence)
        self._told = kind


@contextmanager
def watched(room: Room) -> Iterator[None]:
    """Tune says, in place of a warning of its own, when it waits and no trial has a place, not
    even one whose worker still starts."""
    warn = _InsufficientResourcesManager.on_no_available_trials
    request = PlacementGroupResourceManager.request_resources

    def on_no_available_trials(_manager: Any, _trials: Any) -> None:
        room.has_none()

    def request_resources(manager: Any, resource_request: Any) -> None:
        request(manager, resource_request)
        room.has_reserved = partial(_has_reserved, manager)

    _InsufficientResourcesManager.on_no_available_trials = on_no_available_trials
    PlacementGroupResourceManager.request_resources = request_resources
    try:
        yield
    finally:
        _InsufficientResourcesManager.on_no_available_trials = warn
        PlacementGroupResourceManager.request_resources = request


def _has_reserved(manager: Any) -> bool:
    """Between Ray's reservation and Tune's knowing it is the start of a worker process."""
    asked_for = [group for groups in manager._request_to_staged_pgs.values() for group in groups]
    return any(placement_group_table(group).get("state") == "CREATED" for group in asked_for)
