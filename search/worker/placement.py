"""Where a trial's processes find room: on the nodes, one by one, never on their sum."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from spaces import ResourceSettings, UserError

_NAMED = 3  # nodes in a sentence
_SMALLEST_PART = 1e-4  # of a CPU or a GPU that Ray knows


@dataclass(frozen=True)
class Node:
    """A machine of the cluster that lives, with all that it has."""

    address: str
    resources: Mapping[str, float]


@dataclass(frozen=True)
class Claim:
    """What a trial takes: so many processes, each of which must find its CPUs and its GPUs, or its
    part of one GPU, on one node; they may be on different nodes."""

    processes: int
    cpus: float
    gpus: float

    @classmethod
    def of(cls, resources: ResourceSettings, cluster_has_gpus: bool) -> Claim:
        """Of a trial; where it is not said, each process takes a GPU if there is any.

        Raises:
            UserError: for one GPU and a part of another.
        """
        gpus = float(cluster_has_gpus) if resources.gpus is None else resources.gpus
        if gpus > 1 and gpus != int(gpus):
            raise UserError(
                f"resources.gpus = {gpus:g}: a process takes whole GPUs or a part of one, so "
                f"{math.floor(gpus)}, {math.ceil(gpus)}, or less than 1."
            )
        return cls(resources.processes, float(resources.cpus), gpus)

    @property
    def bundle(self) -> dict[str, float]:
        """Of a process, by Ray's names."""
        return {"CPU": self.cpus, "GPU": self.gpus} if self.gpus else {"CPU": self.cpus}

    def processes_on(self, node: Mapping[str, float]) -> int:
        """How many of its processes a node with these resources has room for."""
        found = _parts(node.get("CPU", 0.0), self.cpus)
        if 0 < self.gpus < 1:  # parts of different devices do not add up to one
            whole = math.floor(node.get("GPU", 0.0) + _SMALLEST_PART)
            rest = max(0.0, node.get("GPU", 0.0) - whole)
            found = min(found, whole * _parts(1.0, self.gpus) + _parts(rest, self.gpus))
        elif self.gpus:
            found = min(found, _parts(node.get("GPU", 0.0), self.gpus))
        return found

    def trials_on(self, nodes: Iterable[Mapping[str, float]]) -> int:
        """How many trials have room side by side on nodes with these resources."""
        return sum(self.processes_on(node) for node in nodes) // self.processes

    def devices(self, process: int, node: Sequence[str]) -> Sequence[str]:
        """Which of a node's GPUs one of the processes on it has, of all trials there: whole ones of
        its own, or a part of one that is full before the next one is begun, or none at all."""
        if 0 < self.gpus < 1:
            first, number = process // _parts(1.0, self.gpus), 1
        else:
            first, number = process * int(self.gpus), int(self.gpus)
        return node[first : first + number]

    def describe(self) -> str:
        each = _amounts(self.bundle)
        if self.processes == 1:
            return each
        return f"{self.processes} processes of {each} each"

    def refuse(self, nodes: Sequence[Node]) -> str | None:
        """Why no trial can ever be placed on these nodes; None where one can."""
        if self.trials_on(node.resources for node in nodes):
            return None
        return (
            f"A trial takes {self.describe()}, {self._missing(nodes)}; "
            f"{self._largest(nodes)}. Lower {self._keys()}, or add nodes."
        )

    def _missing(self, nodes: Sequence[Node]) -> str:
        room = sum(self.processes_on(node.resources) for node in nodes)
        if not room:
            return "more than any node of the cluster has"
        return f"but the nodes of the cluster have room for {room} of these, each within one node"

    def _largest(self, nodes: Sequence[Node]) -> str:
        if not nodes:
            return "it has no node at all"

        def size(node: Node) -> tuple[int, float, float]:
            has = node.resources
            return self.processes_on(has), has.get("GPU", 0.0), has.get("CPU", 0.0)

        ranked = sorted(nodes, key=size, reverse=True)
        named = ", ".join(
            f"{_amounts({kind: n.resources.get(kind, 0.0) for kind in self.bundle})} ({n.address})"
            for n in ranked[:_NAMED]
        )
        return f"the largest of its {len(nodes)}: {named}" if len(nodes) > 1 else f"it has {named}"

    def _keys(self) -> str:
        keys = ["resources.cpus"]
        if self.gpus:
            keys.append("resources.gpus")
        if self.processes > 1:
            keys.append("resources.processes")
        return " or ".join(keys)


def _parts(amount: float, part: float) -> int:
    return math.floor(amount / part + _SMALLEST_PART)


def _amounts(resources: Mapping[str, float]) -> str:
    return " and ".join(f"{amount:g} {kind}" for kind, amount in resources.items())
