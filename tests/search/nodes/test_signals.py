"""Signals that ask the program to end."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from search.nodes.signals import SIGNALS, Interrupt, Requests, handling
from tests.search.command import SECONDS, wait_for


def test_what_comes_within_half_a_second_is_the_same_request() -> None:
    times = [10.0, 10.0, 10.4, 10.6, 10.7, 11.2]
    clock = iter(times)
    requests = Requests(lambda: next(clock))
    heard = [requests.is_new() for _ in times]
    assert heard == [True, False, False, True, False, True]


def test_a_signal_that_comes_twice_at_once_interrupts_once() -> None:
    interrupts = 0
    with handling(Interrupt()):
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGHUP):
            try:
                os.kill(os.getpid(), number)
            except KeyboardInterrupt:
                interrupts += 1
    assert interrupts == 1


def test_handlers_are_as_they_were_afterwards() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with handling(Interrupt()):
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_nohup_keeps_a_closed_terminal_from_ending_the_program() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handling(Interrupt()):
            os.kill(os.getpid(), signal.SIGHUP)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_the_program_ends_with_its_sentence_while_it_still_imports(
    number: signal.Signals, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [
            *(Path(sys.executable).with_name("ablatune"), "search", "quickstart"),
            *("--dir", str(tmp_path / "run")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        wait_for(lambda: _hears(process.pid, number), process)
        os.killpg(process.pid, number)
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, err
    assert out == ""
    assert err.splitlines()[-1] == (
        f"Interrupted. The same command with --dir {tmp_path / 'run'} goes on from here."
    )
    assert "Traceback" not in err


def test_a_terminal_that_is_closed_ends_the_program_as_ctrl_c_does(tmp_path: Path) -> None:
    ours, its = os.openpty()
    with subprocess.Popen(
        [
            *(Path(sys.executable).with_name("ablatune"), "search", "quickstart"),
            *("--dir", str(tmp_path / "run")),
        ],
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as process:
        os.close(its)
        wait_for(lambda: _hears(process.pid, signal.SIGHUP), process)
        os.close(ours)
        assert process.wait(SECONDS) == 130  # with nobody to tell it to


def _hears(process: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{process}/status").read_text()
    caught = re.search(r"SigCgt:\s*(\w+)", status)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)
