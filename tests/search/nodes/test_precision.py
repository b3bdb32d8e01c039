"""One precision for all trials of a study, however unlike the nodes are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from model import BF16, FP32
from search.nodes import precision
from search.nodes.precision import common, precision_on_cluster
from spaces import parse_study


@pytest.mark.parametrize(
    ("answers", "expected"),
    [([BF16], BF16), ([BF16, BF16], BF16), ([BF16, FP32], FP32), ([FP32], FP32), ([], FP32)],
)
def test_bf16_where_it_is_faster_on_every_node(answers: list[str], expected: str) -> None:
    assert common(answers) == expected


def node(name: str, alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"NodeID": name, "Alive": alive, "Resources": resources}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """A cluster of unlike nodes, on which nothing runs: what is asked of whom."""
    found: dict[str, list[Any]] = {"here": [], "there": []}
    answers = {"slow": FP32, "fast": BF16, "small": BF16, "gpu": BF16, "gone": FP32}

    def ask(name: str) -> Any:
        found["there"].append(name)
        return SimpleNamespace(remote=lambda _given: answers[name])

    def here(_study: object, _material: object, gpu: bool) -> str:
        found["here"].append(gpu)
        return BF16

    fake = SimpleNamespace(
        nodes=lambda: found["nodes"],
        put=lambda given: given,
        get=lambda given: given,
        get_runtime_context=lambda: SimpleNamespace(get_node_id=lambda: "fast"),
    )
    monkeypatch.setattr(precision, "ray", fake)
    monkeypatch.setattr(precision, "_ask", ask)
    monkeypatch.setattr(precision, "faster_precision", here)
    return found


@pytest.mark.parametrize(
    ("nodes", "there", "here", "expected"),
    [
        ([node("fast", CPU=8)], [], [False], BF16),
        ([node("fast", CPU=8), node("gone", alive=False, CPU=8)], [], [False], BF16),
        ([node("fast", CPU=8), node("slow", CPU=8)], ["fast", "slow"], [], FP32),
        ([node("fast", CPU=8), node("slow", CPU=1)], [], [False], BF16),  # no trial fits there
        ([node("slow", CPU=8), node("gpu", CPU=8, GPU=1)], ["gpu"], [], BF16),
    ],
)
def test_every_node_that_a_trial_fits_on_is_asked(
    asked: dict[str, list[Any]],
    nodes: list[dict[str, Any]],
    there: list[str],
    here: list[bool],
    expected: str,
) -> None:
    asked["nodes"] = nodes
    study = parse_study({"resources": {"cpus": 2}}, "s", "s")
    assert precision_on_cluster(study, material=None) == expected  # type: ignore[arg-type]
    assert (asked["there"], asked["here"]) == (there, here)


def test_a_node_can_be_asked_in_ray_s_own_terms() -> None:
    """Ray checks what a task is to take where it is declared, before there is a cluster."""
    task = precision._ask("ab" * 28)
    assert task.remote is not None
