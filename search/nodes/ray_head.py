"""Whether a Ray cluster can be joined: found out in seconds, with a sentence for each way in which
it cannot. Ray itself waits for minutes, deaf to signals, and tells a log instead of a reason."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import ray
from ray.exceptions import AuthenticationError

from search.nodes.ray_address import LOCAL, PORT, find, parse, short
from search.nodes.ray_private import ask_head, has_token, nodes_here
from search.nodes.ray_token import token_file, token_mode
from spaces import UserError

_SECONDS_TO_CONNECT = 5.0
_SECONDS_TO_ANSWER = 10.0
_HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_HTTP2_SETTINGS = 4  # the kind of a server's first frame, its fourth byte

T = TypeVar("T")


@dataclass(frozen=True)
class Joinable:
    """A cluster that was looked at, and can be joined from here."""

    address: str
    """HOST:PORT of its head."""
    is_of_a_program: bool
    """Whether a program started it for itself, and ends it with itself."""


def look_for(address: str) -> Joinable | None:
    """The cluster that an address means, after a look at it; None for one that is to be started.

    Raises:
        UserError: where it cannot be joined, or not be started as the environment has it, with
            the reason and what to do.
    """
    is_token_there = _is_token_there()
    address, source = find(address)
    if address == LOCAL:
        return None
    host, port = parse(address, source)
    shown = f"{source} {address}"
    ip = _knock(host, port, shown)
    if not is_token_there and token_mode() == "token":
        raise UserError(
            f"{shown}: RAY_AUTH_MODE is token, but there is no token; set RAY_AUTH_TOKEN_PATH to "
            "the file with the cluster's."
        )
    about = _look(f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}", shown)
    return Joinable(address, about.get("ray_init_cluster") is True)


def _is_token_there() -> bool:
    """Whether there is a token to show."""
    if token_mode() == "disabled":
        return False
    try:
        return has_token()
    except AuthenticationError:
        raise UserError(
            f"RAY_AUTH_TOKEN_PATH = {token_file()}: there is no such file, or no token in it; "
            "unset it, or name the file with the token of the Ray cluster."
        ) from None


def _knock(host: str, port: int, shown: str) -> str:
    """The IP address at which something listens that speaks as Ray's head does."""
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UserError(f"{shown}: no machine has the name {short(host)!r}.") from None
    try:
        connection = socket.create_connection((host, port), _SECONDS_TO_CONNECT)
    except TimeoutError:
        raise UserError(
            f"{shown}: the machine does not answer; is it up, and does a firewall let port {port} "
            "through?"
        ) from None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UserError(
            f"{shown}: nothing listens there ({why}); on the cluster's head `ray status` says "
            "whether it is up, and `ray start --head` starts it."
        ) from None
    with connection:
        if os.environ.get("RAY_USE_TLS", "0") in ("0", "") and not _speaks_http2(connection):
            raise UserError(
                f"{shown}: what listens there is not the head of a Ray cluster, which is at port "
                f"{PORT} unless it was set."
            )
        peer: str = connection.getpeername()[0]
    return peer


def _speaks_http2(connection: socket.socket) -> bool:
    """As gRPC's servers do: the first that they send are their settings."""
    connection.settimeout(_SECONDS_TO_CONNECT)
    said = b""
    try:
        connection.sendall(_HTTP2_HELLO)
        while len(said) < 9 and (more := connection.recv(9 - len(said))):
            said += more
    except OSError:  # silence, or the connection was closed
        return False
    return len(said) == 9 and said[3] == _HTTP2_SETTINGS


def _look(address: str, shown: str) -> Mapping[str, object]:
    """Ask a head for its nodes, and what it says about itself."""

    ask = partial(ask_head, address, _SECONDS_TO_ANSWER)
    try:
        with _nothing_on_standard_error():
            about, nodes = _within(_SECONDS_TO_ANSWER, ask)
    except AuthenticationError:
        raise UserError(f"{shown}: {_token()}") from None
    except Exception:  # whatever a server says that is not a head
        raise UserError(
            f"{shown}: what listens there does not answer as the head of a Ray cluster, which is "
            f"at port {PORT} unless it was set; `ray status` on its machine says how it is."
        ) from None
    itself: dict[str, object] = json.loads(about) if about else {}
    _check_versions(itself, shown)
    here = nodes_here()
    if not any(node in here for node, _ in nodes):
        addresses = ", ".join(sorted({address for _, address in nodes})[:5]) or "none"
        raise UserError(
            f"{shown}: none of the cluster's nodes ({addresses}) is on this machine; run the "
            f"search on one of them, or make this machine one with `ray start --address={address}`."
        )
    return itself


def _token() -> str:
    mode, file = token_mode(), token_file()
    if mode != "token":
        is_now = "is not set" if mode is None else f"is {short(mode)}"
        return (
            f"the cluster asks for a token, and RAY_AUTH_MODE {is_now}; set RAY_AUTH_MODE=token, "
            "and RAY_AUTH_TOKEN_PATH to the file with the cluster's token unless that is "
            "~/.ray/auth_token."
        )
    place = "RAY_AUTH_TOKEN" if os.environ.get("RAY_AUTH_TOKEN") else file or "~/.ray/auth_token"
    return (
        f"the cluster asks for a token, and does not take that of {place}; set "
        "RAY_AUTH_TOKEN_PATH to the file with the cluster's own (on its head, "
        "`ray get-auth-token` prints it)."
    )


def _check_versions(about: Mapping[str, object], shown: str) -> None:
    here = {"Ray": ray.__version__, "Python": ".".join(map(str, sys.version_info[:3]))}
    level = os.environ.get("RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL", "patch")
    for name, version in here.items():
        there = about.get(f"{name.lower()}_version")
        same = there is None or there == version
        if name == "Python" and level == "minor" and isinstance(there, str):
            same = there.split(".")[:2] == version.split(".")[:2]
        if not same:
            raise UserError(
                f"{shown}: the cluster runs {name} {there}, and here it is {version}; both need "
                "the same, so install it on one side."
            )


def _within(seconds: float, ask: Callable[[], T]) -> T:
    """The answer, or TimeoutError: signals are heard meanwhile, as Ray's own calls hear none."""
    answers: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(ask())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise TimeoutError
    return answers[0]


@contextmanager
def _nothing_on_standard_error() -> Iterator[None]:
    """What Ray's C++ writes there meanwhile is no sentence for a user."""
    with suppress(OSError):
        sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
