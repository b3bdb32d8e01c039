"""A search as a batch job leaves it no room: nothing that lies around it ends a trial."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from search.trials.study_folder import StudyFolder
from spaces import load_study
from tests.search.command import SECONDS, Home, search, wait_for

pytestmark = pytest.mark.slow

EPOCHS = 6
LEFT_BY_A_LAUNCHER = {
    "RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "1",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
    "ACCELERATE_USE_FSDP": "true",
    "OMP_NUM_THREADS": "4,2",
}


@pytest.fixture
def home(tiny_tables: Callable[..., dict[str, dict[str, Any]]]) -> Iterator[Home]:
    """A search of two trials in a folder with modules of our packages' and libraries' names."""
    with tempfile.TemporaryDirectory(prefix="ablatune-") as name:
        path = Path(name).resolve()
        for module in ("model", "spaces", "torch", "random"):
            (path / f"{module}.py").write_text("x = 1\n")
        (path / "search").mkdir()
        tables = tiny_tables(
            space={
                "epochs": EPOCHS,
                "samples_per_epoch": 256,
                "batch_size": 4,
                "jaccard": [True, False],
            },
            search={"sampler": "grid", "scheduler": "none"},
            resources={"concurrent": 1},
        )
        file = path / "study.toml"
        file.write_text(tomli_w.dumps(tables))
        home = Home(path, file, StudyFolder(path / "run"), load_study(file))
        try:
            yield home
        finally:
            home.end()


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_a_search_measures_all_whatever_surrounds_it(home: Home, processes: int) -> None:
    (temporary := home.path / ("a_long_name_" * 5)).mkdir()
    surroundings = {"RAY_TMPDIR": "", "TMPDIR": str(temporary), **LEFT_BY_A_LAUNCHER}
    arguments = ["--set", f"resources.processes={processes}", "--quiet"]
    first = home.folder.trial("0000")
    with search(home, *arguments, **surroundings) as process:
        wait_for(lambda: home.epochs("0000"), process)
        first.log.unlink()
        home.folder.log.unlink()
        wait_for(first.log.exists, process)
        wait_for(lambda: len(home.epochs("0000")) > 1, process)
        shutil.rmtree(first.path, ignore_errors=True)
        wait_for(lambda: home.epochs("0000"), process)
        _, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (0, "")
    assert [record.state for record in home.records] == ["completed"] * 2
    for record in home.records:
        assert list(record.scores) == list(range(1, EPOCHS + 1))
    assert home.epochs("0000")[-1] == EPOCHS
    assert f"epoch {EPOCHS}:" in first.log.read_text()
    assert "trial 0001: completed" in home.folder.log.read_text()
    assert not list(temporary.glob("abl-*"))
    wait_for(lambda: not home.processes())
