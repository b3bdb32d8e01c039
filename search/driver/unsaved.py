"""What Tune is given, and need not keep."""

from __future__ import annotations

from typing import Any


class Unsaved:
    """A base class that pickles as nothing: Tune pickles whatever it is given, but the state that
    counts is in the journal."""

    def __getstate__(self) -> dict[str, Any]:
        return {}
