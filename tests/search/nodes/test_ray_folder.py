"""Ray has a folder of its own whose path is short enough for its sockets."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from search.nodes import ray_folder as module
from search.nodes.ray_folder import LONGEST, ray_folder
from spaces import UserError


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a short path in which Ray's is made, and no other is thought of."""
    import tempfile

    for name in ("RAY_TMPDIR", "TMPDIR", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as name:
        monkeypatch.setattr(module, "USUAL", (name,))
        yield Path(name)


def test_it_is_private_short_and_gone_afterwards(short: Path) -> None:
    with ray_folder() as folder:
        assert folder.parent == short
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "session" / "logs").mkdir(parents=True)
        (folder / "session_latest").symlink_to("session")
    assert list(short.iterdir()) == []


def test_the_longest_place_still_takes_rays_sockets(short: Path) -> None:
    place = short / ("p" * (LONGEST - len(str(short)) - 1))
    place.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(place))
        with ray_folder() as folder:
            assert folder.parent == place
            session = f"session_2026-11-28_18-03-15_123456_{os.getpid()}"
            (sockets := folder / session / "sockets").mkdir(parents=True)
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(sockets / "plasma_store"))


@pytest.mark.parametrize(
    "given",
    [
        {"TMPDIR": "/tmp/" + "long/" * 10},
        {"TMPDIR": "/nowhere/at/all"},
        {"TMPDIR": "/proc"},
        {"TMPDIR": ""},
        {"TMPDIR": "/dev/null"},
        {"RAY_TMPDIR": "/" + "x" * 50},
        {"RAY_TMPDIR": "/tmp/\u00e9"},
    ],
    ids=str,
)
def test_a_place_that_does_not_do_is_passed_over(
    short: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with ray_folder() as folder:
        assert folder.parent == short


def test_rays_own_variable_comes_first(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (short / "t").mkdir()
    monkeypatch.setenv("TMPDIR", str(short / "t"))
    monkeypatch.setenv("RAY_TMPDIR", str(short / "r"))
    with ray_folder() as folder:
        assert folder.parent == short / "r"


def test_where_none_does_it_is_one_sentence(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "USUAL", ("/nowhere",))
    monkeypatch.setenv("TMPDIR", "/" + "x" * 60)
    with (
        pytest.raises(UserError, match=rf"at most {LONGEST} characters.*/xxx.*RAY_TMPDIR"),
        ray_folder(),
    ):
        pass


HOLDS = """
import sys, time
from search.nodes import ray_folder as module
module.USUAL = (sys.argv[1],)
with module.ray_folder() as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_two_side_by_side_have_their_own_and_a_killed_ones_goes_with_the_next(short: Path) -> None:
    command = [sys.executable, "-c", HOLDS, str(short)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        try:
            with ray_folder() as ours:
                assert ours != theirs
                assert theirs.exists()
        finally:
            other.kill()
        other.wait(timeout=60)
    assert theirs.exists()
    (short / "abl-foreign").mkdir()  # not marked: nobody knows whose it is
    with ray_folder():
        assert not theirs.exists()
    assert [path.name for path in short.iterdir()] == ["abl-foreign"]
