"""docs/faults.md names, in each line, tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "faults.md").read_text()
LINES = [line for line in PAGE.splitlines() if line.startswith("| ") and "what happens" not in line]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[2:50])
def test_a_line_names_tests_that_are_there(line: str) -> None:
    named = re.findall(r"`([^`]+\.py)`", line.rsplit(" | ", 1)[1])
    assert named
    for name in named:
        if "/" in name:
            assert (TESTS.parent / name).is_file()
        else:
            assert list((TESTS / "search").rglob(name)), name


def test_no_fault_has_two_lines() -> None:
    faults = [line.split(" | ")[0] for line in LINES]
    assert len(set(faults)) == len(faults)
