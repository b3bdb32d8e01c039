"""A Ray that does not start is one sentence, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.exceptions import OutOfDiskError

from search.cli import main
from search.nodes import ray_folder
from search.nodes.cluster_error import ClusterError
from search.nodes.head_watch import HeadWatch
from search.nodes.ray_cluster import _telling_of, ray_cluster
from search.worker.environment import WORKER_ENVIRONMENT


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Ray's folder is made, however long the path."""
    found = tmp_path_factory.mktemp("ray")
    monkeypatch.setattr(ray_folder, "LONGEST", 1000)
    monkeypatch.setenv("RAY_TMPDIR", str(found))
    return found


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(_temp_dir: str, **given: Any) -> None:
        (logs := Path(_temp_dir) / "session_2026" / "logs").mkdir(parents=True)
        (logs / "raylet.err").write_text("first\nno room for the object store\n")
        os.environ["RAY_AUTH_MODE"] = "token"  # as Ray leaves it
        raise RuntimeError("The current node timed out\nduring startup.")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray, "init", init)


def rays_variables() -> dict[str, str]:
    """Those that Ray reads, and those that its workers get."""
    return {n: v for n, v in os.environ.items() if n[:4] == "RAY_" or n in WORKER_ENVIRONMENT}


@pytest.mark.usefixtures("broken")
def test_it_is_one_sentence_with_the_reason(place: Path) -> None:
    with (
        pytest.raises(ClusterError, match=r"\(The current node timed out during startup\); it "),
        ray_cluster(None),
    ):
        pass
    assert list(place.iterdir()) == []


@pytest.mark.usefixtures("broken")
def test_the_command_line_ends_with_1_and_all_is_as_before(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    before, handler = rays_variables(), signal.getsignal(signal.SIGTERM)
    given = ["--set", "data.train=32", "--set", "data.dev=40", "--dir", str(tmp_path / "run")]
    assert main(["search", "quickstart", "--quiet", *given]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    (sentence,) = err.splitlines()
    assert sentence.startswith("error: Ray could not be started on this machine (The current node")
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "raylet.err: no room for the object store" in log
    assert list(place.iterdir()) == []
    assert rays_variables() == before
    assert signal.getsignal(signal.SIGTERM) == handler
    assert {file.name for file in (tmp_path / "run").iterdir()} == {".lock", "log.txt"}


def test_a_ray_that_has_no_room_any_more_is_one_sentence() -> None:
    head = HeadWatch("10.0.0.7:6379", 60.0, lambda: True, lambda: None)
    with (
        pytest.raises(ClusterError, match=r"^Ray failed \(Local disk is full\); log\.txt in the"),
        _telling_of(head),
    ):
        raise OutOfDiskError("Local disk is full\nThe object cannot be created")
