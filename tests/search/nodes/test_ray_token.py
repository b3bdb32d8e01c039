"""A cluster that is started here has a token, wherever there is a place for one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from search.nodes import ray_token as module
from search.nodes.ray_private import forget_token, has_token
from search.nodes.ray_token import provide_token, tokens_as_before

NAMES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_TOKEN")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's empty home; what is said of tokens in the environment is gone."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    forget_token()
    with tokens_as_before():
        yield tmp_path / "home"
    monkeypatch.undo()
    forget_token()


def folder(home: Path) -> Path:
    """Ray's own."""
    (made := home.with_name("ray")).mkdir()
    return made


def test_a_new_token_is_in_the_home_for_this_user_alone(home: Path) -> None:
    provide_token(folder(home))
    file = home / ".ray" / "auth_token"
    assert has_token()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text()) == 64
    assert list(file.parent.iterdir()) == [file]
    assert "RAY_AUTH_TOKEN_PATH" not in os.environ


def test_a_token_that_is_there_stays(home: Path) -> None:
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text("mine")
    provide_token(folder(home))
    assert (home / ".ray" / "auth_token").read_text() == "mine"


@pytest.mark.parametrize("kind", ["nowhere", "a file", "an empty token", "unknown"])
def test_where_the_home_takes_none_it_is_in_rays_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    ray = folder(home)
    if kind == "nowhere":
        monkeypatch.setenv("HOME", "/proc/nope")
    elif kind == "a file":
        (home / ".ray").write_text("")
    elif kind == "an empty token":
        (home / ".ray").mkdir()
        (home / ".ray" / "auth_token").write_text("")
    else:
        monkeypatch.setattr(Path, "home", staticmethod(lambda: (_ for _ in ()).throw(RuntimeError)))
    with tokens_as_before():
        provide_token(ray)
        assert has_token()
        assert os.environ["RAY_AUTH_TOKEN_PATH"] == str(ray / "token")
        assert stat.S_IMODE((ray / "token").stat().st_mode) == 0o600
    assert not set(NAMES) & os.environ.keys()
    assert not has_token()


def test_who_does_without_gets_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    provide_token(folder(home))
    assert list(home.iterdir()) == []


def test_of_two_searches_that_find_none_both_have_the_same(tmp_path: Path) -> None:
    file = tmp_path / "auth_token"

    def write_and_read(_: int) -> str:
        module._write(file)
        return file.read_text()

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(write_and_read, range(64)))) == 1


def test_what_ray_sets_is_as_before(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/mine")
    with tokens_as_before():
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN_PATH"] = "/other"
    assert os.environ["RAY_AUTH_TOKEN_PATH"] == "/mine"
    assert "RAY_AUTH_MODE" not in os.environ
