"""A standard error that goes away."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from rich.console import Console

from search.commands.standard_error import LastingStream, lasting_standard_error


def test_a_program_goes_on_where_nobody_reads_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", buffering=1) as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with lasting_standard_error():
            print("heard", file=sys.stderr, flush=True)
            assert os.read(reading, 100) == b"heard\n"
            os.close(reading)
            print("unheard", file=sys.stderr, flush=True)
            Console(stderr=True).print("unheard")
        assert sys.stderr is stream
        stream.write("not even of what was left in the buffer")


def test_a_stream_is_itself_in_all_else() -> None:
    with Path(os.devnull).open("w", encoding="ascii") as stream:
        lasting = LastingStream(stream)
        assert lasting.encoding == "ascii"
        assert lasting.isatty() is stream.isatty()
        assert lasting.fileno() == stream.fileno()
        assert lasting.write("four") == 4
