"""What a user is told is one line that a terminal shows as it is."""

from __future__ import annotations

import pytest

from spaces import UserError


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("A folder 'é🙂' is no file.", "A folder 'é🙂' is no file."),
        ("A folder \x1b[31mred is no file.", "A folder \\x1b[31mred is no file."),
        ("Two\nlines\r, a\tcell.", "Two\\nlines\\r, a\\tcell."),
        ("\x00\x7f\x85\u202e\u2028", "\\x00\\x7f\\x85\\u202e\\u2028"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(sentence: str, shown: str) -> None:
    assert str(UserError(sentence)) == shown
