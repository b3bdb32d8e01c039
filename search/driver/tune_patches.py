"""What Ray says goes into the study's log; the terminal has our sentence on the same thing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._private import worker


@contextmanager
def ray_speaks_to(log: logging.Logger) -> Iterator[None]:
    """Ray's own loggers, and the messages of its nodes, which it would print."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.data", "ray.train", "ray.tune")]
    before = [(logger, logger.handlers, logger.propagate) for logger in loggers]
    print_message = worker.print_to_stdstream

    def to_log(message: dict[str, Any], *_options: Any, **_more: Any) -> None:
        for line in message["lines"]:
            log.info("Ray: %s", line.strip())

    for logger in loggers:
        logger.handlers, logger.propagate = [*log.handlers], False
    worker.print_to_stdstream = to_log
    try:
        yield
    finally:
        worker.print_to_stdstream = print_message
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate
