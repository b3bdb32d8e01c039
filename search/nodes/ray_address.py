"""Which Ray cluster an address means."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches

from search.nodes.ray_private import clusters_here, last_started_here, show_token
from spaces import UserError

LOCAL, AUTO = "local", "auto"
PORT = 6379  # where `ray start --head` listens unless it is told another one
_LONGEST_SHOWN = 60  # characters of an address
_FORMS = f"give local, auto, or HOST:PORT of the cluster's head (PORT is {PORT} unless it was set)"


def parse(address: str, source: str = "--address") -> tuple[str, int]:
    """Host and port of a cluster's head, without asking anyone.

    Raises:
        UserError: for anything but HOST:PORT, in whose words it is told what was probably meant.
    """
    shown = f"{source} {short(address)!r}"
    scheme, is_web_address, rest = address.partition("://")
    if is_web_address and scheme == "ray":
        host = rest.partition(":")[0] or "HOST"
        raise UserError(
            f"{shown} is for Ray's client, and a search has to run on a node of the cluster "
            f"itself: run it there with --address {host}:{PORT}."
        )
    if is_web_address:
        raise UserError(f"{shown} is a web address, such as that of a dashboard; {_FORMS}.")
    match = re.fullmatch(r"(?:\[([\w:.%-]+)\]|([^\s:\[\]/]+)):([0-9]+)", address)
    if match is None:
        raise UserError(f"{shown} is no address of a Ray cluster; {_meant(address)}.")
    host, port = match[1] or match[2], match[3]
    if len(port) > 5 or not 1 <= int(port) <= 65535:
        raise UserError(f"{shown}: a port is from 1 to 65535, not {short(port)}.")
    return host, int(port)


def _meant(address: str) -> str:
    near = get_close_matches(address.lower(), (LOCAL, AUTO), n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}"
    if re.fullmatch(r"[\w.-]+\.[\w-]+|localhost", address):
        return f"did you mean {address}:{PORT}"
    if address.count(":") > 1 and re.fullmatch(r"[0-9a-fA-F:.]+", address):
        return f"an IPv6 address has brackets: [{address}]:{PORT}"
    return _FORMS


def find(address: str) -> tuple[str, str]:
    """The address that `auto` stands for, or that was given, and where it is from.

    Raises:
        UserError: where none or more than one cluster is found on this machine.
    """
    if address != AUTO:
        return address, "--address"
    if (named := os.environ.get("RAY_ADDRESS", "")) not in ("", AUTO):
        return named, "RAY_ADDRESS ="
    running, started = clusters_here(), last_started_here()
    if not running:
        raise UserError(
            "--address auto: no Ray cluster runs on this machine; --address local starts one, and "
            "--address HOST:PORT joins one that runs elsewhere and has a node here."
        )
    if started in running:
        running = [started]
    if len(running) > 1:
        raise UserError(
            f"--address auto: {len(running)} Ray clusters run on this machine; name the one that "
            f"you mean: --address {' or '.join(running[:5])}."
        )
    with _ray_says_no_more_than_errors():
        show_token()
    return running[0], "--address auto,"


@contextmanager
def _ray_says_no_more_than_errors() -> Iterator[None]:
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def short(text: str) -> str:
    """What a user wrote, as a sentence can have it."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
