"""The one rule: done, or one sentence and exit code 2 (1 for the machine's faults)."""

from __future__ import annotations

import io
import logging
import re
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.cli import main
from search.trials.disk_errors import disk_sentence, is_of_disk
from spaces import UserError

SECONDS = 20
"""The longest that an input may take, of processor time."""
MEBIBYTES = 1500
"""The most memory that an input may take beyond what was taken before."""

_LONGEST = 1500  # characters of a sentence
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202a-\u202e]")


@dataclass(frozen=True)
class Ending:
    """How a verb ended. `fault` says in which way that breaks the rule, None where it does not."""

    code: int | None
    out: str = ""
    err: str = ""
    fault: str | None = None


class TooLongError(BaseException):
    """Not an `Exception`: nothing that is tried shall take it for one of its own."""


def verb(*arguments: str | Path) -> Ending:
    """A verb of the command line, in this process."""
    return _ending(lambda: main([str(argument) for argument in arguments]))


def call(function: Callable[[], Any]) -> Ending:
    """What is no verb by itself, told as the command line would tell it."""

    def as_verb() -> int:
        try:
            function()
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except OSError as error:
            if not is_of_disk(error):
                raise
            print(f"error: {disk_sentence(error)}", file=sys.stderr)
            return 1
        return 0

    return _ending(as_verb)


def _ending(function: Callable[[], int]) -> Ending:
    out, err = io.StringIO(), io.StringIO()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with redirect_stdout(out), redirect_stderr(err), _logged_to(err), _bounded():
            code = function()
    except SystemExit as end:  # argparse's
        code = int(end.code or 0)
    except TooLongError:
        return Ending(None, out.getvalue(), err.getvalue(), f"takes more than {SECONDS} s")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # Of libraries in Rust not all are an `Exception`.
        return Ending(None, out.getvalue(), err.getvalue(), _told(error))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    fault = broken(code, err.getvalue())
    if fault is None and grown > MEBIBYTES:
        fault = f"takes {grown} MiB"
    return Ending(code, out.getvalue(), err.getvalue(), fault)


def _told(error: BaseException) -> str:
    """An exception with the line of ours that it came through last."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "site-packages" not in f.filename and "/tests/" not in f.filename]
    last = (ours or frames)[-1]
    where = "/".join(Path(last.filename).parts[-2:])
    return f"{type(error).__name__} in {where}:{last.name}: {str(error)[:200]}"


def broken(code: int, err: str) -> str | None:
    """In which way an exit code and what was said break the rule, None where they do not."""
    if "Traceback (most recent call last)" in err:
        return "a traceback on standard error"
    if code == 0:
        return None
    if code not in (1, 2):
        return f"exit code {code}"
    lines = err.removesuffix("\n").split("\n")
    if not re.match(r"(ablatune.*: )?error: ", lines[-1]):
        return f"exit code {code} without a sentence: {lines[-1][:200]!r}"
    if sum("error: " in line[:40] for line in lines) > 1:
        return "more than one sentence"
    if _UNPRINTABLE.search(lines[-1]):
        return f"characters that are not shown: {lines[-1][:300]!r}"
    if len(lines[-1]) > _LONGEST:
        return f"a sentence of {len(lines[-1])} characters: {lines[-1][:200]!r}"
    return None


@contextmanager
def _bounded() -> Iterator[None]:
    """Ends what takes too long. Of processor time, since a machine may have other work; and by a
    timer that the test runner does not use."""

    def end(_number: int, _frame: Any) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextmanager
def _logged_to(stream: io.StringIO) -> Iterator[None]:
    """Warnings go there, as to standard error where nobody else has asked for them."""
    handler = logging.StreamHandler(stream)
    handler.setLevel(logging.WARNING)
    ours = logging.getLogger("ablatune")
    ours.addHandler(handler)
    try:
        yield
    finally:
        ours.removeHandler(handler)


def faults(endings: Sequence[Ending]) -> list[str]:
    return [ending.fault for ending in endings if ending.fault]
