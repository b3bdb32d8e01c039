"""The nodes of the cluster that live."""

from __future__ import annotations

import ray

from search.worker.placement import Node


def nodes() -> list[Node]:
    """Every node that lives, with all that it has."""
    return [Node(n["NodeManagerAddress"], n["Resources"]) for n in ray.nodes() if n["Alive"]]
