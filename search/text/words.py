"""Counts in sentences."""

from __future__ import annotations

from spaces import Value, toml_text


def counted(number: float, noun: str) -> str:
    """A number with its noun: "1 trial", "3 trials", "0.25 epochs"."""
    return f"{number:.12g} {noun}{'' if number == 1 else 's'}"


def epoch_text(epoch: float) -> str:
    """Epochs, or a sum of them, with at most three decimals: `8`, `0.25`, `0.333`."""
    return f"{round(epoch, 3):.12g}"


def score_text(score: float | None) -> str:
    """A score with three decimals, as the report's table has them; empty where there is none."""
    return "" if score is None else f"{score:.3f}"


def value_text(value: Value) -> str:
    """A value for people: three significant digits, weights as `0.50/0.25/0.25`."""
    if isinstance(value, tuple):
        return "/".join(f"{part:.2f}" if isinstance(part, float) else str(part) for part in value)
    return f"{value:.3g}" if isinstance(value, float) else level_label(value)


def duration(seconds: float) -> str:
    """A number of seconds as people write it: "0.45 s", "45 s", "12 min" or "3.4 h"."""
    if 0 < seconds < 1:
        return f"{seconds:.2g} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def level_label(value: Value) -> str:
    """A level as people read it: without quotes, tuples as `0.5/0.25/0.25`."""
    if isinstance(value, tuple):
        return "/".join(level_label(item) for item in value)
    return value if isinstance(value, str) else toml_text(value)
