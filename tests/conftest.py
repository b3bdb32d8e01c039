"""Settings of every test."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

from tests.tries import tries

# Before torch is imported: what is tiny does not gain from a second thread, and loses much where
# several processes test side by side.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How fast the machine is, shared as it may be, says nothing about what is tested.
settings.register_profile(
    "any machine",
    deadline=None,
    max_examples=tries(100),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any machine")

# Background jobs of a shell ignore Ctrl-C, and with them whatever a test starts and ends by it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Of this process and of those that it starts, instead of the user's."""
    os.environ["ABLATUNE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
