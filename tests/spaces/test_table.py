"""The factors' table has a row for each factor, and the docs hold the current one."""

from __future__ import annotations

from pathlib import Path

from spaces import factors, factors_markdown

DOCS = Path(__file__).parents[2] / "docs"


def rows() -> dict[str, list[str]]:
    lines = [line for line in factors_markdown().splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0].strip("`"): row for row in cells}


def test_each_factor_has_a_row_of_six_cells_in_order() -> None:
    assert list(rows()) == list(factors())
    assert {len(row) for row in rows().values()} == {6}


def test_a_row_gives_default_domain_condition_meaning_and_source() -> None:
    factor = factors()["head_dropout"]
    assert rows()["head_dropout"] == [
        "`head_dropout`",
        "`0.1`",
        "a number from 0 to 0.9",
        'head is "feed-forward"',
        factor.meaning,
        factor.source,
    ]
    assert rows()["pooling"][3] == "always"


def test_a_row_says_what_cannot_vary_within_a_study() -> None:
    scoped = [name for name, row in rows().items() if "one for all trials" in row[2]]
    assert scoped == [name for name, factor in factors().items() if not factor.searchable]


def test_the_table_in_the_docs_is_current() -> None:
    written = (DOCS / "factors.md").read_text(encoding="utf-8")
    assert written == factors_markdown(), "run: ablatune space --markdown > docs/factors.md"
