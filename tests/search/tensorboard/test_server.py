"""The real server, asked over HTTP for what its page shows."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from search.tensorboard.experiment import write_experiment
from search.tensorboard.server import compare
from search.tensorboard.trial_events import Status, TrialEvents
from spaces.domains import Choice, Domain, Interval, Simplex
from spaces.errors import UserError

DOMAINS: dict[str, Domain] = {
    "jaccard": Choice((False, True)),
    "dropout": Interval(0.0, 0.5),
    "loss_weights": Simplex(("sst", "para")),
}
EVERY_STATUS = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
SECONDS = 60.0

SERVE = """
import sys
from pathlib import Path
from search.tensorboard.server import compare
from spaces.errors import UserError
try:
    compare([Path(name) for name in sys.argv[3:]], eval(sys.argv[1]), as_json=sys.argv[2] == "json")
except UserError as error:
    sys.exit(str(error))
"""


def start(folders: list[Path], port: int | None = 0, output: str = "json") -> subprocess.Popen[str]:
    names = [str(folder) for folder in folders]
    return subprocess.Popen(
        [sys.executable, "-c", SERVE, str(port), output, *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def served(folders: list[Path]) -> Iterator[str]:
    """The address of a server that runs as long as the block."""
    server = start(folders)
    assert server.stdout is not None
    try:
        yield json.loads(server.stdout.readline())["url"]
    finally:
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=SECONDS)
    assert (server.returncode, out, err) == (0, "", "")


def ask(url: str, route: str, body: object = None) -> Any:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=SECONDS)
    try:
        method, content = ("GET", None) if body is None else ("POST", json.dumps(body))
        connection.request(method, f"/data/{route}", content, {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        return json.loads(text) if response.status == 200 else None
    finally:
        connection.close()


def wait_for(read: Callable[[], Any], enough: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        answer = read()
        if answer is not None and enough(answer):
            return answer
        time.sleep(0.05)
    pytest.fail(f"after {SECONDS:g} s the server still answers {answer}")


def session_groups(url: str, count: int) -> dict[str, Any]:
    """The trials by name, once there are `count` and each has been read to its end."""
    body = {"allowedStatuses": EVERY_STATUS, "sliceSize": 100}

    def read() -> Any:
        answer = ask(url, "plugin/hparams/session_groups", body)
        return {group["name"]: group for group in answer["sessionGroups"]}

    return dict(wait_for(read, lambda groups: len(groups) == count))


def scalars(url: str, run: str, enough: Callable[[Any], bool]) -> list[tuple[int, float]]:
    route = f"plugin/scalars/scalars?run={quote(run)}&tag={quote('score/mean')}"
    answer = wait_for(lambda: ask(url, route), enough)
    return [(step, value) for _, step, value in answer]


def write_trial(study: Path, name: str, values: list[float], status: Status) -> None:
    config = {"jaccard": True, "dropout": 0.25, "loss_weights": (0.75, 0.25)}
    events = TrialEvents(study / "trials" / name, config, DOMAINS)
    for epoch, value in enumerate(values, start=1):
        events.epoch(epoch, {"score/mean": value, "train_loss/sst": 1 - value})
    events.close(status)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = tmp_path_factory.mktemp("studies") / "first, study"
    write_experiment(study / "trials", DOMAINS, ["score/mean"])
    write_trial(study, "done", [0.25, 0.5], "completed")
    write_trial(study, "stopped", [0.25], "stopped")
    write_trial(study, "failed", [0.25, float("nan")], "failed")
    write_trial(study, "unfinished", [0.25], "running")
    write_trial(study, "resumed", [0.25, 0.25, 0.25, 0.25], "running")
    resumed = TrialEvents(study / "trials" / "resumed", {"jaccard": False}, DOMAINS, 2)
    resumed.epoch(3, {"score/mean": 0.75})
    resumed.close("completed")
    return study


@pytest.fixture(scope="module")
def url(study: Path) -> Iterator[str]:
    with served([study]) as address:
        yield address


def test_the_page_has_the_declared_columns_and_no_other_metric(url: str) -> None:
    session_groups(url, 5)
    experiment = ask(url, "plugin/hparams/experiment", {})
    domains = {
        info["name"]: info.get("domainDiscrete") or info.get("domainInterval")
        for info in experiment["hparamInfos"]
    }
    assert domains == {
        "jaccard": [False, True],
        "dropout": {"minValue": 0.0, "maxValue": 0.5},
        "loss_weights.sst": {"minValue": 0.0, "maxValue": 1.0},
        "loss_weights.para": {"minValue": 0.0, "maxValue": 1.0},
    }
    assert [info["name"]["tag"] for info in experiment["metricInfos"]] == ["score/mean"]


def test_each_trial_shows_its_values_status_and_last_metric(url: str) -> None:
    groups = session_groups(url, 5)
    assert groups["done"]["hparams"] == {
        "jaccard": True,
        "dropout": 0.25,
        "loss_weights.sst": 0.75,
        "loss_weights.para": 0.25,
    }
    statuses = {name: group["sessions"][0]["status"] for name, group in groups.items()}
    assert statuses == {
        "done": "STATUS_SUCCESS",
        "stopped": "STATUS_SUCCESS",
        "failed": "STATUS_FAILURE",
        "unfinished": "STATUS_UNKNOWN",
        "resumed": "STATUS_SUCCESS",
    }
    last = {name: group["metricValues"][0] for name, group in groups.items()}
    assert {name: metric["trainingStep"] for name, metric in last.items()} == {
        "done": 2,
        "stopped": 1,
        "failed": 2,
        "unfinished": 1,
        "resumed": 3,
    }
    assert (last["done"]["value"], last["resumed"]["value"]) == (0.5, 0.75)


def test_a_resumed_trial_shows_each_epoch_once(url: str) -> None:
    points = scalars(url, "resumed", lambda answer: len(answer) >= 3)
    assert points == [(1, 0.25), (2, 0.25), (3, 0.75)]


@pytest.mark.slow
def test_a_server_that_watches_forgets_what_a_resume_drops(tmp_path: Path) -> None:
    write_trial(tmp_path, "7", [0.25] * 5, "running")
    with served([tmp_path]) as url:
        scalars(url, "7", lambda answer: len(answer) == 5)
        resumed = TrialEvents(tmp_path / "trials" / "7", {}, restored_step=2)
        resumed.epoch(3, {"score/mean": 0.75})
        resumed.close("completed")
        points = scalars(url, "7", lambda answer: answer[-1][2] == 0.75)
        assert points == [(1, 0.25), (2, 0.25), (3, 0.75)]
        [trial] = session_groups(url, 1).values()
        assert trial["sessions"][0]["status"] == "STATUS_SUCCESS"


def test_trials_of_studies_with_equal_names_stay_apart(study: Path, tmp_path: Path) -> None:
    other = tmp_path / study.name
    write_experiment(other / "trials", {"pooling": Choice(("mean",))}, ["score/sst"])
    write_trial(other, "done", [0.5], "completed")
    with served([study, other]) as url:
        groups = session_groups(url, 6)
        assert {f"{study.name}/done", f"{study.name}-2/done"} <= set(groups)
        experiment = ask(url, "plugin/hparams/experiment", {})
    names = {info["name"] for info in experiment["hparamInfos"]}
    assert {"pooling", "dropout"} <= names
    tags = [info["name"]["tag"] for info in experiment["metricInfos"]]
    assert tags == ["score/mean", "score/sst"]


def test_without_json_the_address_is_one_line_on_standard_error(study: Path) -> None:
    server = start([study], port=None, output="text")
    assert server.stderr is not None
    line = server.stderr.readline()
    server.send_signal(signal.SIGTERM)
    out, err = server.communicate(timeout=SECONDS)
    assert line.startswith("TensorBoard is at http://127.0.0.1:")
    assert (server.returncode, out, err) == (0, "", "")


def test_a_taken_port_is_the_users_to_change(study: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = start([study], port)
        out, err = server.communicate(timeout=SECONDS)
    assert (server.returncode, out) == (1, "")
    assert err == f"Port {port} is in use; leave it out to take a free one.\n"


def test_a_folder_without_trials_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "trials").mkdir()
    with pytest.raises(UserError, match="holds no trials"):
        compare([tmp_path])
    with pytest.raises(UserError, match="nowhere is not a folder"):
        compare([tmp_path / "nowhere"])
    with pytest.raises(UserError, match="at least one"):
        compare([])


def test_a_port_out_of_range_is_an_error(study: Path) -> None:
    server = start([study], 70000)
    _, err = server.communicate(timeout=SECONDS)
    assert err == "A port is a number from 0 to 65535, but got 70000.\n"
