"""`ablatune space`: the factors, as a study varies them."""

from __future__ import annotations

import argparse
import json

from rich.text import Text

from search.text.terminal import tell, terminal
from spaces import Space, factors, factors_markdown, load_study, study_schema, toml_text


def space(given: argparse.Namespace) -> None:
    """Show the factors, as a study varies them."""
    if given.markdown:
        print(factors_markdown(), end="")
        return
    if given.schema:
        print(json.dumps(study_schema(), indent=2))
        return
    varied = load_study(given.study, given.overrides).space if given.study else Space()
    rows = [
        {
            "factor": factor.name,
            "default": factor.default,
            "here": _here(varied, factor.name) if given.study else None,
            "allowed": factor.domain.describe(),
            "active": f"where {factor.active_where}" if factor.when else "always",
            "meaning": factor.meaning,
            "source": factor.source,
        }
        for factor in factors().values()
    ]
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    console = terminal()
    for row in rows:
        here = f" here: {row['here']}" if row["here"] else ""
        default = f" = {toml_text(row['default'])}"
        tell(console, Text.assemble((row["factor"], "bold"), default, (here, "cyan")))
        tell(console, row["meaning"], indent=4)
        tell(console, Text(f"{row['allowed']}; active {row['active']}", style="dim"), indent=4)


def _here(varied: Space, name: str) -> str:
    if name in varied.free:
        return f"free, {varied.free[name].describe()}"
    return toml_text(varied.fixed[name])
