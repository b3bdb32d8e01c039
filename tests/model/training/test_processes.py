"""The command under `torchrun` and `accelerate launch` computes what it does alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from model import LAST, TrialFolder, load_best, load_last

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.slow

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ACCELERATE = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1"]
TIMES = ("seconds", "examples_per_second")


# Trains into sys.argv[1] in one go, and into sys.argv[2] in parts, with reports inside epochs.
IN_PARTS = """
import sys
from pathlib import Path

from model import ALL_TASKS, leave, load_material, make_accelerator, train
from spaces import load_study

study = load_study("quickstart", sys.argv[3:])
material, accelerator = load_material(study), make_accelerator("fp32")

def fit(folder, stop_after, report_at):
    def report(epoch, metrics, save):
        save(folder)
        return epoch != stop_after
    arguments = study.space.config(), ALL_TASKS, material.corpus, material.encoder, accelerator
    train(*arguments, report, report_at=report_at, resume=folder)

fit(Path(sys.argv[1]), None, ())
for stop_after in (0.25, 1.5, None):
    fit(Path(sys.argv[2]), stop_after, (0.25, 0.75, 1.5))
leave(accelerator)
"""

# Runs the command with each of the arguments in sys.argv[1].
IN_TURN = """
import json
import sys

import model.__main__ as command
from model import leave

accelerators = []
command.leave = accelerators.append  # which ends the process: the next training needs it
for arguments in json.loads(sys.argv[1]):
    assert command.main(arguments) == 0
leave(accelerators[-1])
"""


def launch(folder: Path, encoder: Path, launcher: list[str], changes: list[str]) -> str:
    """Train into `folder` in fresh processes; what they print."""
    return run([*launcher, "-m", "model", *overrides(encoder, changes), "--dir", str(folder)])


def overrides(encoder: Path, changes: list[str]) -> list[str]:
    return [part for text in settings(encoder, changes) for part in ("--set", text)]


def settings(encoder: Path, changes: list[str]) -> list[str]:
    return [
        f"encoder.name={encoder}",
        "data.train=64",
        "data.dev=33",
        "resources.precision=fp32",
        "epochs=2",
        "samples_per_epoch=39",
        "batch_size=8",
        "encoder_learning_rate=1e-3",
        *changes,
    ]


def run(command: list[str]) -> str:
    """What a fresh Python prints."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def metrics(folder: Path) -> list[dict[str, float]]:
    rows = TrialFolder(folder).read()
    return [{name: v for name, v in row.items() if name not in TIMES} for row in rows]


CONFIGURATIONS = {
    "normalised": ["dropout=0", "head_dropout=0"],
    "frozen": ["dropout=0", "head=linear", "shared_pair_head=false", "trainable_layers=1"],
    "joint": [
        "dropout=0",
        "head_dropout=0",
        "pair_encoding=joint",
        "pair_features=absolute difference",
        "pooling=attention",
    ],
    "projected": [
        "dropout=0",
        "head_dropout=0",
        "loss_weighting=uncertainty",
        "gradient_surgery=pcgrad",
    ],
    "gradual": [
        "dropout=0",
        "head_dropout=0",
        "epochs=3",
        "loss_weighting=dynamic",
        "unfreezing=gradual",
    ],
    "one task": ["dropout=0", "head=linear", "shared_pair_head=false", "sampling=proportional"],
    # A small radius: what sums up in another order turns the search for the worst noise.
    "regularised": [
        *("dropout=0", "head_dropout=0", "bregman=true", "bregman_momentum=0.9"),
        *("smart=true", "smart_radius=1e-5", "smart_noise=1e-5", "smart_step_size=1e-3"),
    ],
}


@pytest.fixture(scope="module")
def of_all(tmp_path_factory: pytest.TempPathFactory, encoder_folder: Path) -> dict[str, Path]:
    """Folders with a trial of each configuration, trained by one process and by two; all in the
    same ones, which start once."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("one", "two")}
    (script := folders["one"] / "in_turn.py").write_text(IN_TURN)
    for name, launcher in (("one", []), ("two", TORCHRUN)):
        commands = [
            [*overrides(encoder_folder, changes), "--dir", str(folders[name] / configuration)]
            for configuration, changes in CONFIGURATIONS.items()
        ]
        printed = run([*launcher, str(script), json.dumps(commands)])
        processes = 2 if launcher else 1
        assert printed.count(f"{processes} process(es)") == len(CONFIGURATIONS)
        assert printed.count("epoch 1/") == printed.count("epoch 2/") == len(CONFIGURATIONS)
    return folders


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_two_processes_measure_what_one_does(of_all: dict[str, Path], configuration: str) -> None:
    one, two = (folder / configuration for folder in of_all.values())
    for alone, both in zip(metrics(one), metrics(two), strict=True):
        assert both == pytest.approx(alone, abs=1e-4)
    states = [load_last(TrialFolder(folder).checkpoint) for folder in (one, two)]
    assert states[0] is not None
    assert states[1] is not None
    for name, weight in states[0]["network"].items():
        if not name.endswith("qkv.bias"):  # The keys' has no effect, and a gradient of rounding.
            assert weight.allclose(states[1]["network"][name], rtol=0, atol=2e-3), name


def test_two_processes_repeat_themselves_and_take_up_a_checkpoint(
    tmp_path: Path, encoder_folder: Path
) -> None:
    changes = ["dropout=0.1", "epochs=2"]
    launch(tmp_path / "whole", encoder_folder, TORCHRUN, changes)
    launch(tmp_path / "again", encoder_folder, TORCHRUN, changes)
    assert metrics(tmp_path / "again") == metrics(tmp_path / "whole")
    printed = launch(tmp_path / "again", encoder_folder, TORCHRUN, changes)
    assert "epoch 1/2" not in printed
    assert printed.count("epoch 2/2") == 1
    assert metrics(tmp_path / "again") == metrics(tmp_path / "whole")


def test_two_processes_train_in_the_precision_that_the_first_found_faster(
    tmp_path: Path, encoder_folder: Path
) -> None:
    changes = ["resources.precision=auto", "epochs=1"]
    printed = launch(tmp_path / "trial", encoder_folder, TORCHRUN, changes)
    precision = TrialFolder(tmp_path / "trial").setting()["precision"]
    assert precision in ("fp32", "bf16")
    assert f"2 process(es) on cpu, {precision}, into" in printed
    assert len(metrics(tmp_path / "trial")) == 1


def test_two_processes_that_pause_and_resume_inside_epochs_equal_two_that_do_not(
    tmp_path: Path, encoder_folder: Path
) -> None:
    script, whole, parts = (tmp_path / name for name in ("in_parts.py", "whole", "parts"))
    script.write_text(IN_PARTS)
    changed = settings(encoder_folder, ["dropout=0.1"])
    run([*TORCHRUN, str(script), str(whole), str(parts), *changed])
    states = [load_last(folder) for folder in (whole, parts)]
    assert states[0] is not None
    assert states[1] is not None
    assert states[0]["losses"].shape == (2, 3)
    assert states[0]["losses"].equal(states[1]["losses"])
    for name in ("train_loss/sst", "dev_loss/para", "score/mean"):
        assert states[0]["metrics"][name] == states[1]["metrics"][name]
    for name, weight in states[0]["network"].items():
        assert weight.equal(states[1]["network"][name]), name


def test_accelerate_launch_is_plain_python_to_the_bit(tmp_path: Path, encoder_folder: Path) -> None:
    plain, launched = tmp_path / "plain", tmp_path / "launched"
    launch(plain, encoder_folder, [], [])
    launch(launched, encoder_folder, ACCELERATE, [])
    assert metrics(plain) == metrics(launched)
    weights = [load_best(TrialFolder(folder).checkpoint)[0] for folder in (plain, launched)]
    assert weights[0].keys() == weights[1].keys()
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])
    assert (TrialFolder(plain).checkpoint / LAST).exists()
