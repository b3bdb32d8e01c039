"""The same command again: while it runs, and with a study file that has changed."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from search.cli import main
from search.trials.study_folder import StudyFolder
from spaces import load_study
from tests.search.command import SECONDS, Home, search, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]


@pytest.fixture
def home(tiny_tables: Callable[..., dict[str, dict[str, Any]]]) -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="ablatune-") as name:
        path = Path(name).resolve()
        file = path / "study.toml"
        tables = tiny_tables(space={"jaccard": [True, False]}, search={"trials": 1})
        file.write_text(tomli_w.dumps(tables))
        home = Home(path, file, StudyFolder(path / "run"), load_study(file))
        try:
            yield home
        finally:
            home.end()


def test_a_second_search_leaves_the_first_alone_and_only_what_may_change_does(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*more: str) -> tuple[int, str, str]:
        """The same command again, in this process and on the tests' cluster."""
        code = main(["search", str(home.file), "--dir", str(home.folder.path), *more])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    with search(home, "--quiet") as first:
        wait_for(home.folder.in_use, first)
        wait_for(home.folder.journal.exists, first)
        first.send_signal(signal.SIGSTOP)  # so that it has not ended before the second one starts
        before = contents(home.path)
        second = run()
        assert contents(home.path) == before
        first.send_signal(signal.SIGCONT)
        assert second == (
            2,
            "",
            f"error: Another search (process {first.pid}) is running in {home.folder.path}; "
            "wait for it, or name another folder with --dir.\n",
        )
        _, err = first.communicate(timeout=SECONDS)
        assert (first.returncode, err) == (0, "")

    stored = home.folder.file.read_text()
    assert run("--set", "search.seed=9") == (
        2,
        "",
        f"error: The study in {home.folder.path} was begun with search.seed = 0, now it is 9: "
        "their scores cannot be compared. Name another folder with --dir.\n",
    )
    assert home.folder.file.read_text() == stored

    (scores,) = [record.scores for record in home.records]
    code, _, err = run("--quiet", "--set", "search.trials=2", "--set", "resources.silence=0.5")
    assert (code, err) == (0, "")
    assert [record.state for record in home.records] == ["completed"] * 2
    assert home.records[0].scores == scores
    assert home.folder.study().resources.silence == 0.5


def contents(folder: Path) -> dict[str, bytes]:
    """Of the study's own files; Ray's lie beside them."""
    run = folder / "run"
    return {str(file): file.read_bytes() for file in run.rglob("*") if file.is_file()}
