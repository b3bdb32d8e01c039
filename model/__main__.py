"""`python -m model`: one configuration, trained by hand, without Ray.

The same under `accelerate launch -m model` and `torchrun -m model` with several processes.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from pathlib import Path

from accelerate import Accelerator

from model.going_on import go_on, precision_of
from model.machine.device import agreed, leave, make_accelerator
from model.material import load_material
from model.setting import Setting
from model.storage.trial_folder import Metrics, TrialFolder
from model.tasks.shipped import ALL_TASKS
from model.training.reports import Save, TrialError
from model.training.train import train
from spaces import UserError, load_study


def main(arguments: list[str] | None = None) -> int:
    """Train one configuration; the result is the exit code."""
    parser = argparse.ArgumentParser(prog="python -m model", description=__doc__)
    parser.add_argument(
        "study",
        nargs="?",
        default="quickstart",
        help="a study file or the name of a packaged one, for everything that --set leaves out; "
        "a free factor has its default (default: quickstart)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="set a key, for example --set pooling=cls or --set data.path=FOLDER",
    )
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path("runs/trial"),
        help="the trial's folder; training resumes where it holds a checkpoint",
    )
    given = parser.parse_args(arguments)
    try:
        return _train(given.study, given.overrides, TrialFolder(given.dir))
    except (UserError, TrialError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 1
    except KeyboardInterrupt:
        print(f"interrupted; the same command goes on from {given.dir}", file=sys.stderr)
        return 130


def _train(study_name: str, overrides: list[str], folder: TrialFolder) -> int:
    study = load_study(study_name, overrides)
    config = study.space.config()
    material = load_material(study)
    precision = agreed(lambda: precision_of(study, material, folder))
    setting = Setting.of(study, material, precision)
    table, told = go_on(folder, config, study.search.objective, setting)
    accelerator = make_accelerator(precision)
    if accelerator.is_main_process:
        _start(folder, accelerator, study_name)
        for row in material.skipped:
            print(f"skipped {row.file}, row {row.row}: {row.why}", file=sys.stderr)
        if told:
            print(told, file=sys.stderr)
        folder.start(config, table)

    def report(epoch: float, metrics: Metrics, save: Save) -> bool:
        save(folder.checkpoint)
        folder.record(epoch, metrics)
        names = (*(task.name for task in ALL_TASKS), "mean")
        scores = " ".join(f"{name} {_score_text(metrics[f'score/{name}'])}" for name in names)
        print(
            f"epoch {epoch}/{config.epochs}: {scores} "
            f"({metrics['seconds']:.1f} s, {metrics['examples_per_second']:.0f} examples/s)",
            flush=True,
        )
        return True

    trained = train(
        config,
        ALL_TASKS,
        material.corpus,
        material.encoder,
        accelerator,
        report,
        objective=study.search.objective,
        resume=folder.checkpoint,
    )
    if accelerator.is_main_process:
        print(f"best: epoch {trained.best_epoch}, {trained.best_score:.4f}; see {folder.path}")
    leave(accelerator)
    return 0


def _score_text(score: float) -> str:
    return f"{score:.3f}" if math.isfinite(score) else "undefined"


def _start(folder: TrialFolder, accelerator: Accelerator, study: str) -> None:
    logging.getLogger("torch").setLevel(logging.ERROR)
    print(
        f"{study}: {accelerator.num_processes} process(es) on {accelerator.device.type}, "
        f"{'bf16' if accelerator.mixed_precision == 'bf16' else 'fp32'}, into {folder.path}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
