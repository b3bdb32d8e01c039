"""What fits where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.worker.placement import Claim, Node
from spaces import ResourceSettings, UserError


def nodes(*cpus: float, **more: float) -> list[Node]:
    return [Node(f"10.0.0.{i}", {"CPU": n, **more}) for i, n in enumerate(cpus, 1)]


def test_a_process_finds_its_cpus_on_one_node_and_never_on_two() -> None:
    claim = Claim(processes=1, cpus=3, gpus=0)
    assert claim.trials_on([{"CPU": 2.0}, {"CPU": 2.0}]) == 0
    assert claim.trials_on([{"CPU": 8.0}, {"CPU": 5.0}, {"CPU": 2.0}]) == 3
    assert claim.refuse(nodes(2, 2)) == (
        "A trial takes 3 CPU, more than any node of the cluster has; the largest of its 2: "
        "2 CPU (10.0.0.1), 2 CPU (10.0.0.2). Lower resources.cpus, or add nodes."
    )
    assert claim.refuse(nodes(2, 3)) is None


def test_the_processes_of_a_trial_may_be_on_different_nodes() -> None:
    claim = Claim(processes=4, cpus=3, gpus=0)
    assert claim.trials_on([{"CPU": 6.0}, {"CPU": 7.0}]) == 1
    assert claim.trials_on([{"CPU": 5.0}, {"CPU": 8.0}]) == 0  # 13 CPUs in sum
    assert claim.refuse(nodes(5, 8)) == (
        "A trial takes 4 processes of 3 CPU each, but the nodes of the cluster have room for 3 of "
        "these, each within one node; the largest of its 2: 8 CPU (10.0.0.2), 5 CPU (10.0.0.1). "
        "Lower resources.cpus or resources.processes, or add nodes."
    )


def test_parts_of_different_gpus_are_not_one_part() -> None:
    claim = Claim(processes=1, cpus=1, gpus=0.4)
    assert claim.processes_on({"CPU": 16.0, "GPU": 2.0}) == 4  # 5 in sum
    assert claim.processes_on({"CPU": 3.0, "GPU": 2.0}) == 3
    assert claim.processes_on({"CPU": 16.0}) == 0
    assert Claim(1, 1, 0.1).processes_on({"CPU": 64.0, "GPU": 1.0}) == 10
    assert Claim(1, 1, 2).processes_on({"CPU": 64.0, "GPU": 5.0}) == 2


def test_gpus_and_cpus_must_be_on_the_same_node() -> None:
    claim = Claim(processes=1, cpus=4, gpus=1)
    told = claim.refuse([Node("a", {"CPU": 8.0}), Node("b", {"CPU": 2.0, "GPU": 1.0})])
    assert told == (
        "A trial takes 4 CPU and 1 GPU, more than any node of the cluster has; the largest of its "
        "2: 2 CPU and 1 GPU (b), 8 CPU and 0 GPU (a). Lower resources.cpus or resources.gpus, or "
        "add nodes."
    )


def test_a_single_node_and_none_at_all_are_told_as_such() -> None:
    assert "has; it has 2 CPU (10.0.0.1). Lower" in str(Claim(1, 3, 0).refuse(nodes(2)))
    assert "it has no node at all" in str(Claim(1, 3, 0).refuse([]))


def test_of_a_large_cluster_only_the_largest_nodes_are_named() -> None:
    told = str(Claim(1, 9, 0).refuse(nodes(1, 2, 3, 4, 5)))
    assert "5 CPU (10.0.0.5), 4 CPU (10.0.0.4), 3 CPU (10.0.0.3). Lower" in told


def test_gpus_are_taken_where_there_are_any_and_never_one_and_a_half() -> None:
    assert Claim.of(ResourceSettings(), cluster_has_gpus=True).gpus == 1
    assert Claim.of(ResourceSettings(), cluster_has_gpus=False).bundle == {"CPU": 1.0}
    assert Claim.of(ResourceSettings(gpus=0.0), cluster_has_gpus=True).bundle == {"CPU": 1.0}
    with pytest.raises(UserError, match=r"resources.gpus = 1.5: .* so 1, 2, or less than 1\."):
        Claim.of(ResourceSettings(gpus=1.5), cluster_has_gpus=True)


@given(
    st.integers(1, 5),
    st.integers(1, 4),
    st.lists(st.integers(0, 12), max_size=5),
)
def test_what_fits_never_exceeds_the_sum_and_is_refused_exactly_where_it_is_nothing(
    processes: int, cpus: int, sizes: list[int]
) -> None:
    claim = Claim(processes, cpus, 0)
    cluster = nodes(*map(float, sizes))
    fit = claim.trials_on(node.resources for node in cluster)
    assert fit * processes * cpus <= sum(sizes)
    assert fit == sum(size // cpus for size in sizes) // processes
    assert (claim.refuse(cluster) is None) == (fit > 0)


@pytest.mark.parametrize(
    ("gpus", "devices"),
    [
        (0.0, ["", "", "", ""]),
        (1.0, ["a", "b", "c", ""]),
        (2.0, ["ab", "c", "", ""]),
        (0.5, ["a", "a", "b", "b"]),
        (0.33, ["a", "a", "a", "b"]),
        (0.4, ["a", "a", "b", "b"]),  # two fit into one, and a fifth is left
        (0.7, ["a", "b", "c", ""]),
    ],
)
def test_each_process_has_its_own_devices_or_a_part_of_one(gpus: float, devices: list[str]) -> None:
    claim = Claim(processes=1, cpus=1.0, gpus=gpus)
    assert ["".join(claim.devices(process, "abc")) for process in range(4)] == devices
    fitting = claim.processes_on({"CPU": 64.0, "GPU": 3.0}) if gpus else 4
    assert all(devices[:fitting]) == bool(gpus)
