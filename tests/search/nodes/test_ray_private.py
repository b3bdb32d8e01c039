"""The private parts of Ray's core that `search/nodes/ray_private.py` relies on."""

from __future__ import annotations

import inspect
import json
import logging
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import ray

from search.nodes import ray_private
from tests.search.private_parts import PrivateParts

RAY = PrivateParts("ray", "search/nodes/ray_private.py")
SERVICES = "ray._private.services"


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_messages_of_nodes_go_through_one_function(caplog: pytest.LogCaptureFixture) -> None:
    name = "ray._private.worker.print_to_stdstream"
    with RAY.relied_on(name, as_what="what prints a message's lines, looked up in its module") as f:
        worker = inspect.getmodule(f)
        assert parameters(f)[0] == "data"
        listens = inspect.getsource(worker.listen_error_messages)  # type: ignore[union-attr]
        assert "print_to_stdstream(" in listens
        assert '"lines"' in listens
        log = logging.getLogger("ablatune")
        caplog.set_level(logging.INFO, "ablatune")
        with ray_private.ray_speaks_to(log):
            message = {"lines": ["a node died "], "pid": "raylet", "is_err": False}
            worker.print_to_stdstream(message, ignore_prefix=False)  # type: ignore[union-attr]
        assert caplog.messages == ["Ray: a node died"]
        assert worker.print_to_stdstream is f  # type: ignore[union-attr]


def test_sigterm_is_taken_through_one_function() -> None:
    name = "ray._private.utils.set_sigterm_handler"
    with RAY.relied_on(name, as_what="what takes SIGTERM, called by its module's name") as take:
        assert "ray._private.utils.set_sigterm_handler(" in inspect.getsource(
            inspect.getmodule(ray.init)  # type: ignore[arg-type]
        )
        before = signal.getsignal(signal.SIGTERM)
        with ray_private.signals_stay_ours():
            ray._private.utils.set_sigterm_handler(signal.SIG_IGN)
            assert signal.getsignal(signal.SIGTERM) == before
        assert ray._private.utils.set_sigterm_handler is take


def test_processes_are_started_by_one_class() -> None:
    name = f"{SERVICES}.ConsolePopen"
    what = "a subprocess.Popen that start_ray_process calls with a preexec_fn"
    with RAY.relied_on(name, as_what=what) as popen:
        services = ray._private.services
        assert issubclass(popen, subprocess.Popen)
        start = inspect.getsource(services.start_ray_process)
        assert "= ConsolePopen(" in start
        assert "preexec_fn=" in start

        class Ours(popen):  # type: ignore[misc]
            pass

        with ray_private.processes_started_as(Ours):
            assert services.ConsolePopen is Ours
        assert services.ConsolePopen is popen


def test_the_workers_path_is_the_job_s_and_ray_adds_nothing() -> None:
    name = "ray.job_config.JobConfig._py_driver_sys_path"
    with RAY.relied_on(
        name.rpartition(".")[0], as_what="what holds the workers' path (_py_driver_sys_path)"
    ) as job:
        assert "_py_driver_sys_path" in parameters(job)
        assert ray_private.OwnImports()._py_driver_sys_path == [ray_private.ablatune.ROOT]
    name = "ray.job_config.JobConfig._runtime_env_has_working_dir"
    with RAY.relied_on(name, as_what="what keeps Ray from adding folders to that path") as has:
        assert parameters(has) == ["self"]
        connect = inspect.getsource(ray._private.worker.connect)
        assert connect.count("job_config._runtime_env_has_working_dir()") >= 2


def test_the_folder_of_a_new_cluster_can_be_named() -> None:
    with RAY.relied_on("ray.init", as_what="a function that takes _temp_dir") as init:
        assert 'kwargs.pop("_temp_dir", None)' in inspect.getsource(init)


def test_what_is_free_is_told_by_node() -> None:
    name = "ray._private.state.available_resources_per_node"
    with RAY.relied_on(name, as_what="a function without parameters") as free:
        assert parameters(free) == []


def test_clusters_on_this_machine_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{SERVICES}.find_gcs_addresses"
    clear = f"{SERVICES}._thread_safe_find_gcs_addresses_cache_clear"
    with RAY.relied_on(clear, as_what="what has the next search for clusters look anew"):
        seen = [{"10.0.0.2:1", "10.0.0.1:1"}, {"10.0.0.3:1"}]
        services = ray._private.services
        monkeypatch.setattr(services, "_find_address_from_flag", lambda _flag: seen.pop(0))
        assert ray_private.clusters_here() == ["10.0.0.1:1", "10.0.0.2:1"]
        assert ray_private.clusters_here() == ["10.0.0.3:1"]
        services._thread_safe_find_gcs_addresses_cache_clear()
    with RAY.relied_on(name, as_what="a function without parameters") as find:
        assert parameters(find) == []


def test_nodes_and_the_last_cluster_of_this_machine_are_found() -> None:
    with RAY.relied_on(f"{SERVICES}.find_node_ids", as_what="a function of ids") as ids:
        assert all(isinstance(node, str) for node in ids())
    with RAY.relied_on(f"{SERVICES}.find_bootstrap_address", as_what="a function of a folder") as f:
        assert parameters(f) == ["temp_dir"]
        assert isinstance(f("/nowhere"), str | None)


def test_a_token_is_found_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with RAY.relied_on(
        "ray._raylet.AuthenticationTokenLoader", as_what="what says whether there is a token"
    ) as loader:
        has = loader.instance().has_token(ignore_auth_mode=True)
        assert isinstance(has, bool)
    name = (
        "ray._private.authentication.authentication_token_setup"
        ".maybe_enable_token_auth_if_token_available"
    )
    with RAY.relied_on(name, as_what="what shows a token where the mode allows it") as show:
        assert show(warn_if_disabled=False) is False
        assert os.environ["RAY_AUTH_MODE"] == "disabled"


def test_a_head_has_a_client() -> None:
    with RAY.relied_on("ray._raylet.GcsClient", as_what="a client of a head's address") as client:
        assert callable(client)
    with RAY.relied_on("ray._raylet.InnerGcsClient", as_what="what a client asks with") as client:
        assert callable(client.internal_kv_get)
        assert callable(client.get_all_node_info)
    with RAY.relied_on(
        "ray._common.usage.usage_constants.CLUSTER_METADATA_KEY", as_what="b'CLUSTER_METADATA'"
    ) as key:
        assert key == b"CLUSTER_METADATA"


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_a_head_tells_of_itself_and_its_nodes() -> None:
    with RAY.relied_on("ray._raylet.GcsClient", as_what="a client that a head answers"):
        about, nodes = ray_private.ask_head(ray.get_runtime_context().gcs_address, 10.0)
        assert json.loads(about or b"")["ray_version"] == ray.__version__
        assert {node for node, _ in nodes} == {node["NodeID"] for node in ray.nodes()}
        assert {node for node, _ in nodes} <= ray_private.nodes_here()
        assert sum(free.get("CPU", 0) for free in ray_private.free_on_nodes()) > 0


def test_what_was_read_of_a_token_can_be_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RAY.relied_on("ray._raylet.Config", as_what="what reads Ray's settings anew") as config:
        assert callable(config.initialize)
    file = tmp_path / "token"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    try:
        file.write_text("a" * 64)
        ray_private.forget_token()
        assert ray_private.has_token()
    finally:
        monkeypatch.undo()
        ray_private.forget_token()
