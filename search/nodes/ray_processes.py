"""Ray's own processes on this machine, which end when the search says so and not before.

A terminal, `timeout` or a service manager that wants a search to end signals all of its processes.
Where Ray's heard it too, they would be gone before the trials have saved themselves.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from search.nodes.ray_private import RayProcess, processes_started_as
from search.nodes.signals import SIGNALS


@contextmanager
def deaf_processes() -> Iterator[None]:
    """The processes that Ray starts meanwhile, and all that these start, are in sessions of their
    own and hear no signal of `SIGNALS`, whether it is sent to one, to a group or to all.

    They end with `ray.shutdown`, or at once where this block fails; where this process is killed,
    the kernel kills them, as Ray has it set up. Elsewhere than on Linux nothing is changed: Ray's
    own way to end with this process is by the group there.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    started: list[_Deaf] = []

    class Deaf(_Deaf):
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, **more)
            started.append(self)

    try:
        with processes_started_as(Deaf):
            yield
    except BaseException:
        for process in started:
            process.kill()
            process.wait()
        raise


class _Deaf(RayProcess):  # type: ignore[misc]
    def __init__(self, *given: Any, preexec_fn: Callable[[], None], **more: Any) -> None:
        def before_its_program() -> None:
            preexec_fn()
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # and so for its children

        super().__init__(*given, preexec_fn=before_its_program, start_new_session=True, **more)

    def terminate(self) -> None:
        """What Ray asks first, with a signal that this process does not hear."""
        self.kill()

    def kill(self) -> None:
        """End it with all that it has started: workers would see its end, but some agents only
        after a minute."""
        super().kill()
        if self.returncode is None:  # else the number may be another's by now
            _kill_session(self.pid)


def _kill_session(leader: int) -> None:
    for _ in range(2):  # once more for what was being started
        for process in Path("/proc").glob("[0-9]*"):
            number = int(process.name)
            with suppress(ProcessLookupError, PermissionError):
                if os.getsid(number) == leader != number:
                    os.kill(number, signal.SIGKILL)
