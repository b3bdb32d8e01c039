"""The factors as a Markdown table: `docs/factors.md` is this text."""

from __future__ import annotations

from spaces.config import factors
from spaces.domains import toml_text

_HEADER = """\
# Factors

Everything that may vary between trials, generated from `spaces/config.py` by
`ablatune space --markdown`. In a study file a plain value fixes a factor, and a list,
`{low = ..., high = ..., log = ...}` or `"free"` frees it.

| factor | default | allowed | active where | what it is | source |
|---|---|---|---|---|---|
"""


def factors_markdown() -> str:
    rows = []
    for factor in factors().values():
        scope = "" if factor.searchable else ", one for all trials"
        cells = (
            f"`{factor.name}`",
            f"`{toml_text(factor.default)}`",
            factor.domain.describe() + scope,
            factor.active_where or "always",
            factor.meaning,
            factor.source,
        )
        rows.append("| " + " | ".join(cells) + " |\n")
    return _HEADER + "".join(rows)
