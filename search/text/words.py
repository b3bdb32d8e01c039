"""Counts in sentences."""

from __future__ import annotations


def counted(number: float, noun: str) -> str:
    """A number with its noun: "1 trial", "3 trials", "0.25 epochs"."""
    return f"{number:.12g} {noun}{'' if number == 1 else 's'}"
