"""Whether the cluster has room for trials, and what the user is told where it has none."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ray.tune import Callback

from search.driver.unsaved import Unsaved
from search.nodes.alive import nodes
from search.nodes.ray_private import free_on_nodes
from search.worker.placement import Claim, Node

_PATIENCE = 10.0  # seconds in which Ray itself may not have come to it
_SECONDS_BETWEEN_LOOKS = 5.0


class Room(Unsaved, Callback):  # type: ignore[misc]
    """Looks, while no trial has a place anywhere, for what is in the way, and tells it once."""

    def __init__(
        self,
        claim: Claim,
        tell: Callable[[str], None],
        nodes: Callable[[], list[Node]] = nodes,
        free: Callable[[], list[dict[str, float]]] = free_on_nodes,
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
