"""Tests of tokens leave those of the cluster that other tests of the process may have."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from search.nodes.ray_private import forget_token

_OF_TOKENS = ("test_ray_cluster", "test_ray_token", "test_ray_private")
_NAMES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH")


@pytest.fixture(autouse=True)
def tokens_stay(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set up before all else, and so ended after it: Ray reads again what it read before."""
    if not request.path.stem.startswith(_OF_TOKENS):
        yield
        return
    before = {name: os.environ.get(name) for name in _NAMES}
    yield
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    forget_token()
