"""How many CPUs a process may really use: in a container or a batch job fewer than there are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

_MOUNTED, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_cpus() -> int:
    """Those that this process may run on, and no more than its control groups give it time on; at
    least 1."""
    return max(1, int(min([_cpus(), *cpu_quotas(_MOUNTED, _OWN)])))


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS has no affinity


def cpu_quotas(mounted: Path, own: Path) -> Iterator[float]:
    """The limits, in CPUs, of the control groups that this process is in, of both versions.

    Each group is limited by those above it too. In a container the own group's path may be that
    of the machine outside: then the groups that can be seen are those from the top.

    Args:
        mounted: where the groups are mounted, `/sys/fs/cgroup`.
        own: what names this process's own, `/proc/self/cgroup`.
    """
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _found(_version_2, mounted, path)
        elif "cpu" in controllers.split(","):
            for name in {"cpu", controllers}:
                yield from _found(_version_1, mounted / name, path)


def _found(read: Callable[[Path], float | None], mounted: Path, path: str) -> Iterator[float]:
    group = Path(path.lstrip("/"))
    for folder in (group, *group.parents):
        try:
            quota = read(mounted / folder)
        except (OSError, ValueError, ZeroDivisionError):
            continue
        if quota is not None and quota > 0:
            yield quota


def _version_2(group: Path) -> float | None:
    quota, period = (group / "cpu.max").read_text(encoding="utf-8").split()
    return None if quota == "max" else int(quota) / int(period)


def _version_1(group: Path) -> float | None:
    quota, period = (
        int((group / f"cpu.cfs_{name}_us").read_text(encoding="utf-8"))
        for name in ("quota", "period")
    )
    return quota / period  # -1 where there is no limit
