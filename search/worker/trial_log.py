"""A trial's log file."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout

from model import TrialFolder
from search.worker.lasting_log import LastingLog


@contextmanager
def logging_into(folder: TrialFolder, alone: bool = False) -> Iterator[None]:
    """Everything that is logged or printed goes into the trial's own log. `alone`: wait until no
    earlier worker writes here, one that does not know yet that its search was killed."""
    folder.path.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger()
    with (
        closing(LastingLog(folder.log)) as file,
        redirect_stdout(file),
        redirect_stderr(file),
    ):
        handler = logging.StreamHandler(file)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        try:
            if alone:
                _wait_for(file)
            logging.info("worker process %d", os.getpid())
            yield
        finally:
            root.removeHandler(handler)
            root.setLevel(level)


def _wait_for(log: LastingLog) -> None:
    waits = False
    while True:
        try:
            return log.lock()
        except BlockingIOError:
            if not waits:
                logging.info("waiting until an earlier worker process of this trial has ended")
            waits = True
            time.sleep(0.2)
