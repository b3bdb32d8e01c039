"""What answers, or does not, at the address of a cluster."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import ray
from ray._private import services

from search.cli import main
from search.nodes import ray_head
from search.nodes.ray_head import Joinable, look_for
from spaces import UserError


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Something that listens, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def address_of(server: socket.socket) -> str:
    return f"127.0.0.1:{server.getsockname()[1]}"


def refused(address: str) -> str:
    with pytest.raises(UserError) as error:
        look_for(address)
    return str(error.value)


def test_a_closed_port_is_told_at_once(listener: socket.socket) -> None:
    address = address_of(listener)
    listener.close()
    began = time.monotonic()
    assert "nothing listens there (connection refused)" in refused(address)
    assert time.monotonic() - began < 5


def test_the_command_line_ends_with_that_sentence_and_writes_nothing(
    listener: socket.socket,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)  # by other tests of this process
    address = address_of(listener)
    listener.close()
    code = main(["search", "quickstart", "--dir", str(tmp_path / "run"), "--address", address])
    assert code == 2
    out, err = capsys.readouterr()
    assert out == ""
    (sentence,) = err.splitlines()
    assert sentence.startswith(f"error: --address {address}: nothing listens there")
    assert not (tmp_path / "run").exists()


def test_a_listener_that_says_nothing_is_no_cluster(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_head, "_SECONDS_TO_CONNECT", 0.2)
    assert "not the head of a Ray cluster" in refused(address_of(listener))


def test_a_web_server_is_no_cluster() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told = refused(f"127.0.0.1:{server.server_port}")
        server.shutdown()
    assert "not the head of a Ray cluster" in told


def test_a_server_that_ends_the_connection_is_no_cluster(listener: socket.socket) -> None:
    threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
    assert "not the head of a Ray cluster" in refused(address_of(listener))


def test_a_name_that_does_not_resolve_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_given: object, **_more: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "no machine has the name 'head.invalid'" in refused("head.invalid:6379")


def test_a_machine_that_is_silent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_given: object, **_more: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", silent)
    assert "the machine does not answer" in refused("127.0.0.1:6379")


def test_other_versions_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    here = ".".join(map(str, sys.version_info[:3]))
    with pytest.raises(
        UserError, match=rf"^x: the cluster runs Ray 1.0.0, and here it is {ray.__version__};"
    ):
        ray_head._check_versions({"ray_version": "1.0.0", "python_version": here}, "x")
    versions = {"ray_version": ray.__version__, "python_version": here + "9"}
    with pytest.raises(
        UserError, match=rf"the cluster runs Python {here}9, and here it is {here};"
    ):
        ray_head._check_versions(versions, "x")
    monkeypatch.setenv("RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL", "minor")
    ray_head._check_versions(versions, "x")
    ray_head._check_versions({}, "x")


def test_an_answer_that_does_not_come_is_not_waited_for() -> None:
    never: Callable[[], bool] = threading.Event().wait
    with pytest.raises(TimeoutError):
        ray_head._within(0.1, never)
    with pytest.raises(ZeroDivisionError):
        ray_head._within(10.0, lambda: 1 // 0)
    assert ray_head._within(10.0, lambda: 1) == 1


LOOK = """
import json, sys
from search.nodes.ray_head import look_for
from spaces import UserError
try:
    print(json.dumps(look_for(sys.argv[1]).address))
except UserError as error:
    print(json.dumps(f"refused: {error}"))
"""


def seen(address: str, **environment: str) -> str:
    """What another process sees of a cluster, with these settings alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    done = subprocess.run(
        [sys.executable, "-c", LOOK, address],
        env=kept | {"PYTHONPATH": str(Path(__file__).parents[3])} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stderr == ""
    return str(json.loads(done.stdout))


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_a_cluster_is_joined_with_its_token_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address = ray.get_runtime_context().gcs_address
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert look_for(address) == Joinable(address, is_of_a_program=True)

    assert seen(address, RAY_AUTH_MODE="token") == address
    assert "asks for a token, and RAY_AUTH_MODE is not set" in seen(address)
    assert "and RAY_AUTH_MODE is disabled" in seen(address, RAY_AUTH_MODE="disabled")
    (wrong := tmp_path / "token").write_text("a" * 64)
    told = seen(address, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(wrong))
    assert f"does not take that of {wrong}" in told
    told = seen(address, RAY_AUTH_TOKEN_PATH=str(tmp_path / "none"))
    assert f"RAY_AUTH_TOKEN_PATH = {tmp_path / 'none'}: there is no such file" in told

    monkeypatch.setattr(services, "find_node_ids", lambda: frozenset())
    told = refused(address)
    assert "is on this machine; run the search on one of them" in told
    assert f"with `ray start --address={address}`" in told
