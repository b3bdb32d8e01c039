"""CPUs are counted as this process may use them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from model import usable_cpus
from model.machine import cpus
from model.machine.cpus import cpu_quotas


def group(mounted: Path, path: str, **files: str) -> None:
    """A control group with files, whose names have a dot for the first `__`."""
    (folder := mounted / path).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".", 1)).write_text(content + "\n")


def quotas(tmp_path: Path, own: str) -> list[float]:
    (tmp_path / "own").write_text(own)
    return list(cpu_quotas(tmp_path / "mounted", tmp_path / "own"))


def test_a_group_of_version_2_and_those_above_it_limit(tmp_path: Path) -> None:
    mounted = tmp_path / "mounted"
    group(mounted, "batch/job/step", cpu__max="max 100000")
    group(mounted, "batch/job", cpu__max="250000 100000")
    group(mounted, "batch", cpu__max="400000 50000")
    group(mounted, "")
    assert quotas(tmp_path, "0::/batch/job/step\n") == [2.5, 8.0]


def test_in_a_container_the_top_group_is_its_own(tmp_path: Path) -> None:
    group(tmp_path / "mounted", "", cpu__max="200000 100000")
    assert quotas(tmp_path, "0::/docker/of-the-machine-outside\n") == [2.0]


@pytest.mark.parametrize("name", ["cpu", "cpu,cpuacct"])
def test_a_group_of_version_1_limits(tmp_path: Path, name: str) -> None:
    mounted = tmp_path / "mounted" / name
    group(mounted, "job", cpu__cfs_quota_us="150000", cpu__cfs_period_us="100000")
    group(mounted, "", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert quotas(tmp_path, f"12:memory:/job\n4:{name}:/job\n0::/\n") == [1.5]


def test_what_cannot_be_read_limits_nothing(tmp_path: Path) -> None:
    group(tmp_path / "mounted", "", cpu__max="nonsense")
    assert quotas(tmp_path, "0::/\n") == []
    assert list(cpu_quotas(tmp_path, tmp_path / "missing")) == []


@pytest.mark.parametrize(
    ("affinity", "found", "usable"),
    [(64, [2.0], 2), (64, [2.9, 8.0], 2), (64, [0.5], 1), (3, [8.0], 3), (64, [], 64)],
)
def test_the_least_of_affinity_and_quotas_counts(
    monkeypatch: pytest.MonkeyPatch, affinity: int, found: list[float], usable: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(affinity)))
    monkeypatch.setattr(cpus, "cpu_quotas", lambda *_where: iter(found))
    assert usable_cpus() == usable
