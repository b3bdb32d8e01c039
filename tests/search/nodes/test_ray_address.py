"""Addresses of clusters, before anyone is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray._private import services

from search.nodes.ray_address import find, parse
from spaces import UserError


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("10.0.0.7:6379", "10.0.0.7", 6379),
        ("localhost:1", "localhost", 1),
        ("head-0.cluster.local:65535", "head-0.cluster.local", 65535),
        ("[::1]:6379", "::1", 6379),
        ("[fe80::1%eth0]:6379", "fe80::1%eth0", 6379),
    ],
)
def test_a_head_is_named_by_host_and_port(address: str, host: str, port: int) -> None:
    assert parse(address) == (host, port)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("nonsense", "give local, auto, or HOST:PORT of the cluster's head"),
        ("", "--address '' is no address of a Ray cluster; give local, auto, or HOST:PORT"),
        ("locl", "did you mean 'local'."),
        ("AUTO", "did you mean 'auto'."),
        ("head.example.com", "did you mean head.example.com:6379."),
        ("10.0.0.7", "did you mean 10.0.0.7:6379."),
        ("::1", "an IPv6 address has brackets: [::1]:6379."),
        ("head:0", "a port is from 1 to 65535, not 0."),
        ("head:99999", "a port is from 1 to 65535, not 99999."),
        ("head:port", "is no address of a Ray cluster"),
        ("ray://head:10001", "run it there with --address head:6379."),
        ("http://head:8265", "is a web address, such as that of a dashboard"),
        ("two words:1", "is no address of a Ray cluster"),
    ],
)
def test_what_is_no_address_is_told_with_what_was_meant(address: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        parse(address)
    assert told in str(error.value)
    assert str(error.value).startswith("--address")


@given(st.text() | st.text("ray:/[].0123456789% "))
def test_any_text_is_an_address_or_one_short_sentence(text: str) -> None:
    told = ""
    host, port = "host", 1
    try:
        host, port = parse(text)
    except UserError as error:
        told = str(error)
    assert len(told) < 350
    assert "\n" not in told
    assert host
    assert 1 <= port <= 65535


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The clusters of this machine."""
    found: set[str] = set()
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setattr(services, "find_gcs_addresses", lambda: frozenset(found))
    monkeypatch.setattr(services, "find_bootstrap_address", lambda _folder: "10.0.0.7:6379")
    return found


def test_auto_is_the_one_cluster_of_this_machine(running: set[str]) -> None:
    running.add("10.0.0.7:40001")
    assert find("auto")[0] == "10.0.0.7:40001"


def test_auto_is_the_one_that_was_started_for_all(running: set[str]) -> None:
    running.update({"10.0.0.7:40001", "10.0.0.7:6379"})
    assert find("auto")[0] == "10.0.0.7:6379"


def test_auto_joins_none_of_several_programs_own(running: set[str]) -> None:
    running.update({"10.0.0.7:40001", "10.0.0.7:40002"})
    with pytest.raises(UserError, match=r"--address 10.0.0.7:40001 or 10.0.0.7:40002"):
        find("auto")


def test_auto_without_a_cluster_says_how_to_start_one(running: set[str]) -> None:
    assert not running
    with pytest.raises(UserError, match="no Ray cluster runs on this machine; --address local"):
        find("auto")


def test_auto_means_the_environment_s_cluster_where_that_names_one(
    running: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    running.add("10.0.0.7:40001")
    monkeypatch.setenv("RAY_ADDRESS", "nonsense")
    address, source = find("auto")
    with pytest.raises(UserError, match=r"^RAY_ADDRESS = 'nonsense' is no address"):
        parse(address, source)
    assert find("10.0.0.8:6379") == ("10.0.0.8:6379", "--address")


@pytest.mark.parametrize(
    ("named", "meant"), [("auto", "10.0.0.7:40001"), ("local", "local"), ("", "10.0.0.7:40001")]
)
def test_the_environment_may_name_no_cluster_either(
    running: set[str], monkeypatch: pytest.MonkeyPatch, named: str, meant: str
) -> None:
    running.add("10.0.0.7:40001")
    monkeypatch.setenv("RAY_ADDRESS", named)
    assert find("auto")[0] == meant
