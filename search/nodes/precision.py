"""The one precision of all trials of a study, decided before the first of them.

Where `resources.precision` is "auto", the nodes that the trials will run on are asked which is
faster there. Unlike nodes still get one answer: scores in two precisions are not quite the same.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from model import BF16, FP32, Material, faster_precision
from search.worker.placement import Claim
from spaces import StudyFile


def precision_on_cluster(study: StudyFile, material: Material) -> str:
    """What "auto" means on the Ray cluster that is up: bf16 where that is faster on every node
    that a trial fits on. All are asked at once, beside whatever they do."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    claim = Claim.of(study.resources, any(node["Resources"].get("GPU", 0) for node in alive))
    places = [node["NodeID"] for node in alive if claim.processes_on(node["Resources"])]
    gpu = claim.gpus > 0
    if places == [ray.get_runtime_context().get_node_id()]:
        return faster_precision(study, material, gpu)
    shared = ray.put((study, material, gpu))
    return common(ray.get([_ask(node).remote([shared]) for node in places]))


def common(answers: Sequence[str]) -> str:
    """Of what each node would choose; fp32 is slow nowhere, while bf16 may be."""
    return BF16 if answers and all(answer == BF16 for answer in answers) else FP32


def _ask(node: str) -> Any:
    """A task that takes no CPU or GPU, so that it need not wait for one, in a process of its own:
    that may have looked at GPUs that are a trial's."""
    where = NodeAffinitySchedulingStrategy(node, soft=True)
    return ray.remote(num_cpus=0, max_calls=1)(_answer).options(scheduling_strategy=where)


def _answer(shared: Sequence[ray.ObjectRef[tuple[StudyFile, Material, bool]]]) -> str:
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # Ray hides all from a task that takes none.
    study, material, gpu = ray.get(shared[0])
    return faster_precision(study, material, gpu)
