"""Searches on clusters of their own, each in a process of its own:

python -m tests.search.fault_scripts SCENARIO STUDY FOLDER
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ray

from model import Metrics, Save, train
from search.driver.run import run
from search.trials.study_folder import StudyFolder
from spaces import StudyFile, load_study

GIB = 1 << 30


def lost_node(study: StudyFile, folder: StudyFolder) -> None:
    """A node is killed under a running trial while another one joins."""
    from ray.cluster_utils import Cluster

    # Ray's own 15 seconds until a node counts as lost are longer than this search.
    soon = {"health_check_period_ms": 500, "health_check_failure_threshold": 2}
    head = {"num_cpus": 0, "_system_config": soon}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    # Before there are other nodes: a driver's own must not be removed.
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    first = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()

    # Ray adds nodes in the main thread only.
    search = threading.Thread(target=run, args=(study, folder), kwargs={"quiet": True})
    search.start()
    while len(folder.trial("0000").read()) < 2:
        time.sleep(0.05)
    cluster.remove_node(first, allow_graceful=False)
    cluster.add_node(num_cpus=1)
    search.join()
    ray.shutdown()
    cluster.shutdown()


def greedy_train(config: Any, *given: Any, places: Path, **more: Any) -> None:
    """The first trial takes memory until its worker is ended, or 5 GiB are taken; a second one
    trains."""
    *shared, report = given

    def greedy_report(epoch: float, metrics: Metrics, save: Save) -> bool:
        goes_on = bool(report(epoch, metrics, save))
        if config.jaccard:
            (places / str(time.monotonic_ns())).touch()
            taken = [bytes(b"x" * (1 << 26)) for _ in range(80)]
            time.sleep(60)
            raise AssertionError(f"{len(taken)} blocks were not too much")
        return goes_on

    train(config, *shared, greedy_report, **more)


def out_of_memory(study: StudyFile, folder: StudyFolder) -> None:
    """Ray's monitor is told that the node is nearly full already: 3 GiB are left."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    memory = {name: int(rest.split()[0]) << 10 for name, rest in (x.split(":") for x in lines)}
    total, free = memory["MemTotal"], memory["MemAvailable"]
    threshold = (total - free + 3 * GIB) / total
    os.environ |= {
        "RAY_memory_usage_threshold": str(threshold),
        "RAY_memory_monitor_refresh_ms": "100",
    }
    (places := folder.path.with_name("places")).mkdir()
    training = partial(greedy_train, places=places)
    run(study, folder, quiet=True, training=training)


SCENARIOS: dict[str, Callable[[StudyFile, StudyFolder], None]] = {
    "lost_node": lost_node,
    "out_of_memory": out_of_memory,
}

if __name__ == "__main__":
    scenario, file, path = sys.argv[1:]
    SCENARIOS[scenario](load_study(file), StudyFolder(Path(path)))
