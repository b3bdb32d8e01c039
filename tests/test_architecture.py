"""Imports run one way: search -> model -> spaces; cluster stands alone."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"spaces", "model", "search", "cluster"}
COMMAND_LINE = Path("search/cli.py")


def imported(source: str) -> set[str]:
    """The top-level packages that a source file imports, at its top or inside functions."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they lead"
            names.add(str(node.module).partition(".")[0])
    return names


def imports_of(folder: str) -> dict[Path, set[str]]:
    """What each file of a folder imports from outside the folder."""
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files, f"{folder}/ has no Python files"
    return {
        file.relative_to(ROOT): imported(file.read_text(encoding="utf-8")) - {folder}
        for file in files
    }


def test_an_import_is_found_wherever_it_stands() -> None:
    source = "import a.b, c\nfrom d.e import f\ndef g():\n    if c:\n        import h as i"
    assert imported(source) == {"a", "c", "d", "h"}


def test_spaces_imports_only_the_standard_library() -> None:
    for file, names in imports_of("spaces").items():
        assert names <= sys.stdlib_module_names, file


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [("spaces", set()), ("model", {"spaces"}), ("search", {"spaces", "model"}), ("cluster", set())],
)
def test_imports_between_our_folders_run_one_way(folder: str, allowed: set[str]) -> None:
    for file, names in imports_of(folder).items():
        also = {"cluster"} if file == COMMAND_LINE else set()
        assert names & OURS <= allowed | also, file


def test_one_trial_runs_without_the_libraries_of_many() -> None:
    for file, names in imports_of("model").items():
        assert not names & {"ray", "optuna"}, file
