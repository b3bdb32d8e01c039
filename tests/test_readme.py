"""What the README and the pages in docs/ tell a newcomer to open or to type is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from search.cli import main
from spaces import load_study

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def test_the_table_of_verbs_has_all_of_them_and_no_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    verbs = re.findall(r"^    (\w+)  ", capsys.readouterr().out, flags=re.MULTILINE)
    assert re.findall(r"^\| `ablatune (\w+)", README, flags=re.MULTILINE) == verbs


def test_the_modules_that_it_runs_exist() -> None:
    modules = set(re.findall(r"python -m ([\w.]+)", README))
    assert {"model", "benchmarks.efficiency"} <= modules
    assert [name for name in sorted(modules) if importlib.util.find_spec(name) is None] == []


def test_its_study_file_is_one(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", README, flags=re.DOTALL)
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    study = load_study(file)
    assert list(study.space.free) == [
        "pooling",
        "shared_pair_head",
        "loss_weights",
        "encoder_learning_rate",
    ]
    assert study.encoder.name == "bert-base-uncased"


def test_the_tree_has_a_clause_for_each_folder_of_two_levels() -> None:
    """A room that is new, gone or renamed is told here, before a newcomer misses it."""
    (tree,) = re.findall(r"## What is where.*?```\n(.*?)```", README, flags=re.DOTALL)
    shown: set[str] = set()
    above = ""
    for indent, name, clause in re.findall(r"^( *)(\w+)/ +(\S.*)$", tree, flags=re.MULTILINE):
        assert clause
        above = above if indent else name
        shown.add(f"{above}/{name}" if indent else name)
    rooms = {
        file.relative_to(ROOT).parent.as_posix()
        for folder in ("search", "model", "spaces", "cluster", "benchmarks")
        for file in (ROOT / folder).rglob("*.*")
        if "__pycache__" not in file.parts and len(file.relative_to(ROOT).parts) <= 3
    }
    assert rooms <= shown
    assert all((ROOT / folder).is_dir() for folder in shown)
