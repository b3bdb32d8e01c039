"""A study whose training is trivial, for `benchmarks.overhead`.

python -m benchmarks.peers.ablatune_search TRIALS SAMPLER STUDY FOLDER
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray

from benchmarks.common.trivial_training import EPOCHS, MEETING, SLOTS, scores
from model import Metrics, Report
from search.driver.run import run
from search.trials.study_folder import StudyFolder
from spaces import TASKS, Config, load_study


def train(
    config: Config, tasks: Any, corpus: Any, encoder: Any, accelerator: Any, report: Report,
    **options: Any,
) -> None:  # fmt: skip
    """Stands in the place of `model.train`, with as many metrics and without a checkpoint."""
    for epoch, score in scores(config.active()):
        metrics: Metrics = {
            **{f"{kind}_loss/{task}": 1 - score for kind in ("train", "dev") for task in TASKS},
            **{f"score/{name}": score for name in ("mean", *TASKS)},
            "seconds": 1.0,
            "examples_per_second": 1.0,
        }
        if not report(epoch, metrics, lambda folder: None):
            return


def main(arguments: Sequence[str]) -> None:
    trials, sampler, name, path = arguments
    small = [f"space.epochs={EPOCHS}", "data.train=32", "data.dev=32"]
    study = load_study(name, [*small, f"search.trials={trials}", f"search.sampler={sampler}"])
    folder = StudyFolder(Path(path) / "study")
    os.environ[MEETING] = path
    ray.init(address="local", num_cpus=SLOTS, include_dashboard=False, log_to_driver=False)
    ledger = run(study, folder, training=train)
    ended = [record.ended for record in ledger.records.values()]
    (Path(path) / "ended.json").write_text(json.dumps(ended), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
