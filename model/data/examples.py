"""One labelled sentence or pair, and the data set that holds them by task and split."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Example:
    """`second` is None for a task on single sentences; `label` is a class number or a score."""

    first: str
    second: str | None
    label: float


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row that could not become an example."""

    file: str
    """The file's name, without its folder."""
    row: int
    """The line where the row starts, as an editor shows it: from 1, and the header is line 1."""
    why: str


@dataclass(frozen=True)
class Dataset:
    """Everything that a trial can train on and be scored on, read or generated."""

    splits: dict[str, dict[str, tuple[Example, ...]]]
    """The examples by task, and then by split, which is "train" or "dev"."""
    extra: dict[str, tuple[Example, ...]] = field(default_factory=dict)
    """Further training examples from another source, by task; empty where none were asked for."""
    skipped: tuple[SkippedRow, ...] = ()
