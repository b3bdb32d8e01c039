"""Our packages are imported, whatever a user's folder or PYTHONPATH has under their names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ablatune
from spaces import ResourceSettings

ROOT = Path(__file__).parents[1]
OURS = sorted(ablatune.PACKAGES)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A user's folder with modules and packages of our names, and of those of libraries."""
    for name in ("model", "spaces"):
        (tmp_path / f"{name}.py").write_text("x = 1\n")
    for name in ("search", "cluster"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    return tmp_path


def python(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


WHERE = f"""
import json, sys
from importlib.util import find_spec
print(json.dumps([find_spec(name).origin for name in {OURS}]))
"""


@pytest.mark.parametrize("path", ["{foreign}", ":/nowhere", "."])
def test_ours_come_before_what_is_on_pythonpath(foreign: Path, path: str) -> None:
    """An empty part of PYTHONPATH, as `export PYTHONPATH=$PYTHONPATH:more` leaves it, is the
    working folder."""
    program = "import ablatune" + WHERE
    done = python("-c", program, cwd=foreign, PYTHONPATH=path.format(foreign=foreign))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [str(ROOT / name / "__init__.py") for name in OURS]


def test_the_program_starts_where_pythonpath_has_its_names(foreign: Path) -> None:
    command = [
        sys.executable,
        "-P",
        "-c",
        "import sys; from ablatune import main; sys.exit(main())",
    ]
    done = subprocess.run(
        [*command, "space", "quickstart", "--json"],
        cwd=foreign,
        env={**os.environ, "PYTHONPATH": str(foreign)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "pooling" in {row["factor"] for row in json.loads(done.stdout)}


def test_a_training_by_hand_finds_ours_though_the_folder_has_others(foreign: Path) -> None:
    (foreign / "model.py").unlink()  # `python -m model` would run it, as Python does
    done = python("-m", "model", "nothing-of-this-name", cwd=foreign)
    assert done.returncode == 2
    assert done.stderr.startswith("error: There is no study file nothing-of-this-name")


def test_a_module_of_the_users_that_is_imported_already_is_told_apart(foreign: Path) -> None:
    done = python("-c", "import model, ablatune", cwd=foreign)
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: {foreign / 'model.py'} is imported as 'model', which is the name of a "
        "package of ablatune's: give it another name, or use ablatune in a program of its own."
    )


def test_processes_that_time_steps_import_ours(
    foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.forecast import timing

    monkeypatch.chdir(foreign)
    monkeypatch.setenv("PYTHONPATH", f"{foreign}:")
    program = timing.PROGRAM.replace("from search.forecast.timed_steps import main\nmain()", WHERE)
    environment = next(timing._environments(ResourceSettings(), 0, None))
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert json.loads(done.stdout) == [str(ROOT / name / "__init__.py") for name in OURS]


@pytest.mark.slow
def test_workers_import_what_the_driver_has(foreign: Path) -> None:
    """In a folder that has modules of the libraries' names too."""
    for name in ("torch", "random", "numpy"):
        (foreign / f"{name}.py").write_text("x = 1\n")
    program = f"""
import json, sys
import ray
from search.nodes.ray_cluster import ray_cluster

def where():
    import random, sys, search.worker.run_trial
    from importlib import import_module
    names = [*{OURS}, "random", "torch", "numpy"]
    return [import_module(name).__file__ for name in names]

with ray_cluster(None):
    print(json.dumps([ray.get(ray.remote(where).remote()), where()]))
"""
    (script := foreign / "scripts" / "script.py").parent.mkdir()
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, "-P", str(script)],
        cwd=foreign,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    there, here = json.loads(done.stdout)
    assert there == here
    assert not any(Path(file).is_relative_to(foreign) for file in there)
