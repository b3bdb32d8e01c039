"""What is not for Tune to save."""

from __future__ import annotations

from typing import Any


class Unsaved:
    """Tune pickles what it is given; the state is the ledger's journal, so nothing goes in."""

    def __getstate__(self) -> dict[str, Any]:
        return {}
