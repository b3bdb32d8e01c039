"""Imports run one way, folder by folder, and each library is known to few rooms only.

A room is a sub-folder of `search/` or `model/`. What stands beside the rooms, such as
`search/cli.py`, may import all of them.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FOLDERS: Mapping[str, set[str]] = {
    "spaces": set(),
    "model": {"spaces"},
    "search": {"model", "spaces"},
    "cluster": set(),
}
"""What each top-level folder may import of the others."""

ALL = {"*"}
ROOMS: Mapping[str, Mapping[str, set[str]]] = {
    "search": {
        "text": set(),
        "tensorboard": set(),
        "trials": {"text"},
        "analysis": {"trials", "text"},
        "sampler": {"trials"},
        "worker": {"trials", "tensorboard", "text"},
        "nodes": {"worker"},
        "report": {"analysis", "trials", "text"},
        "ledger": {"sampler", "trials", "text"},
        "forecast": {"ledger", "trials", "worker.environment", "worker.placement"},
        "driver": {"forecast", "ledger", "nodes", "worker", "trials", "tensorboard", "text"},
        "commands": ALL,
    },
    "model": {
        "machine": set(),
        "layers": {"machine"},
        "tasks": set(),
        "storage": set(),
        "data": {"tasks", "layers", "storage", "machine"},
        "encoder": {"layers", "machine"},
        "grammar": {"data"},
        "network": {"encoder", "layers", "tasks", "data", "machine"},
        "training": {"network", "encoder", "layers", "tasks", "data", "storage", "machine"},
    },
}
"""What each room may import of the other rooms of its folder: rooms, or single modules of them."""

LIBRARIES: Mapping[str, set[str]] = {
    "ray": {"search/driver", "search/nodes", "search/worker", "cluster"},
    "optuna": {"search/trials", "search/sampler", "search/ledger"},
    "tensorboard": {"search/tensorboard"},
}
"""The rooms that may import a library with rough edges, at the top of a file or inside."""

PRIVATE: Mapping[str, str] = {
    "search/nodes/ray_private.py": "tests/search/nodes/test_ray_private.py",
    "search/driver/tune_private.py": "tests/search/driver/test_tune_private.py",
    "search/trials/optuna_private.py": "tests/search/trials/test_optuna_private.py",
}
"""The files that reach into private parts of libraries, each with the test of what it relies on."""

WITH_PRIVATE_PARTS = {"ray", "optuna", "tensorboard", "accelerate"}

OF_THE_COMMAND_LINE = {"search/cli.py"}
"""Files that may import `cluster` too."""


def imported(source: str) -> set[str]:
    """The modules that a source file imports, at its top or inside functions, by their whole
    names; of `from a.b import c` it is `a.b` and `a.b.c`, which may be a module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they lead"
            names.add(str(node.module))
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def reaches(source: str) -> set[str]:
    """The private parts of `WITH_PRIVATE_PARTS` that a source file reaches into: what it imports of
    them, and, where it imports any of them, attributes and keyword arguments that begin with an
    underscore and that neither the file itself nor another module has."""
    tree = ast.parse(source)
    modules = {m for m in imported(source) if top(m) in WITH_PRIVATE_PARTS}
    found = {m for m in modules if any(_is_private(part) for part in m.split("."))}
    if not modules:
        return found
    own = {n.name for n in ast.walk(tree) if isinstance(n, ast.ClassDef | ast.FunctionDef)}
    others = {"self", "cls"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            own.add(node.attr)
        elif isinstance(node, ast.arg):
            own.add(node.arg)
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            own |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            others |= {
                alias.asname or top(alias.name)
                for alias in node.names
                if top(module or alias.name) not in WITH_PRIVATE_PARTS
            }
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg and _is_private(node.arg):
            found |= {node.arg} - own
        elif isinstance(node, ast.Attribute) and _is_private(node.attr):
            root: ast.expr = node
            while isinstance(root, ast.Attribute):
                root = root.value
            if not (isinstance(root, ast.Name) and root.id in others and root.id != "self"):
                found |= {node.attr} - own
    return found


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def files_of(folder: str) -> Iterator[tuple[str, set[str]]]:
    """Each Python file below a folder, from the root, and what it imports."""
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files, f"{folder}/ has no Python files"
    for file in files:
        yield str(file.relative_to(ROOT)), imported(file.read_text(encoding="utf-8"))


def top(module: str) -> str:
    return module.partition(".")[0]


def rooms_of(folder: str) -> set[str]:
    return {path.name for path in (ROOT / folder).iterdir() if (path / "__init__.py").exists()}


def allows(allowed: set[str], room: str, module: str) -> bool:
    """Whether a room, or only this module of it, may be imported."""
    return any(
        known in ("*", room) or module == known or module.startswith(f"{known}.")
        for known in allowed
    )


def breaches(
    folder: str, room: str, modules: set[str], rules: Mapping[str, set[str]]
) -> Iterator[str]:
    """The modules of other rooms of the folder that a file of a room imports and may not."""
    for module in sorted(modules):
        there, _, rest = module.removeprefix(f"{folder}.").partition(".")
        if not module.startswith(f"{folder}.") or there not in rules or there == room:
            continue
        within = f"{there}.{rest}"
        if not rest and any(allowed.startswith(f"{there}.") for allowed in rules[room]):
            continue  # of `from search.worker import environment` the second name counts
        if not allows(rules[room], there, within):
            yield module


def test_an_import_is_found_wherever_it_stands() -> None:
    source = "import a.b, c\nfrom d.e import f\ndef g():\n    if c:\n        import h as i"
    assert imported(source) == {"a.b", "c", "d.e", "d.e.f", "h"}


def test_a_breach_is_named_and_what_is_allowed_is_none() -> None:
    rules: dict[str, set[str]] = {"low": set(), "high": {"low", "side.door"}, "side": set()}
    seen = {"house.low.a", "house.side.door", "house.side.door.Knob", "house.side.wall", "json"}
    assert list(breaches("house", "high", seen, rules)) == ["house.side.wall"]
    assert list(breaches("house", "low", {"house.high.b"}, rules)) == ["house.high.b"]
    assert list(breaches("house", "low", {"house.low.b"}, rules)) == []


def test_spaces_imports_only_the_standard_library() -> None:
    for file, modules in files_of("spaces"):
        foreign = {top(m) for m in modules} - sys.stdlib_module_names - {"spaces"}
        assert not foreign, f"{file} imports {foreign}: spaces/ knows the standard library only"


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_between_folders_run_one_way(folder: str) -> None:
    for file, modules in files_of(folder):
        allowed = FOLDERS[folder] | {folder}
        if file in OF_THE_COMMAND_LINE:
            allowed = allowed | {"cluster"}
        found = {top(m) for m in modules} & FOLDERS.keys() - allowed
        assert not found, (
            f"{file} imports {found}, but of our folders {folder}/ may import "
            f"{FOLDERS[folder] or 'none'}: search -> model -> spaces"
        )


@pytest.mark.parametrize("folder", ROOMS)
def test_every_room_has_its_rule(folder: str) -> None:
    assert rooms_of(folder) == ROOMS[folder].keys(), "write down what a new room may import"


@pytest.mark.parametrize("folder", ROOMS)
def test_the_rules_have_no_circle(folder: str) -> None:
    rules = {
        room: {known.partition(".")[0] for known in allowed}
        for room, allowed in ROOMS[folder].items()
        if allowed != ALL
    }
    while rules:
        ground = {room for room, allowed in rules.items() if not allowed & rules.keys()}
        assert ground, f"a circle of rooms: {sorted(rules)}"
        rules = {room: allowed for room, allowed in rules.items() if room not in ground}


@pytest.mark.parametrize(
    ("folder", "room"), [(folder, room) for folder in ROOMS for room in ROOMS[folder]]
)
def test_imports_between_rooms_run_one_way(folder: str, room: str) -> None:
    for file, modules in files_of(f"{folder}/{room}"):
        found = list(breaches(folder, room, modules, ROOMS[folder]))
        assert not found, (
            f"{file} imports {', '.join(found)}, but {folder}/{room}/ may import "
            f"{', '.join(sorted(ROOMS[folder][room])) or 'no other room'}"
        )


@pytest.mark.parametrize("folder", ROOMS)
def test_no_room_imports_what_stands_beside_the_rooms(folder: str) -> None:
    beside = {file.stem for file in (ROOT / folder).glob("*.py")} - {"__init__"}
    for room in ROOMS[folder]:
        for file, modules in files_of(f"{folder}/{room}"):
            found = {m for m in modules for name in beside if m == f"{folder}.{name}"}
            assert not found, f"{file} imports {found}, which is made of the rooms"


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_known_to_few_rooms(library: str) -> None:
    for folder in FOLDERS:
        for file, modules in files_of(folder):
            if any(file.startswith(f"{room}/") for room in LIBRARIES[library]):
                continue
            assert library not in {top(m) for m in modules}, (
                f"{file} imports {library}, which only {', '.join(sorted(LIBRARIES[library]))} may"
            )


def test_a_private_part_is_found_however_it_is_reached() -> None:
    source = """
import os
import ray
from optuna.samplers._lazy import State
from ray import _raylet
from ray.air._internal.manager import Manager
class Own:
    def __init__(self, trial):
        self._trial, self._id = trial, trial._trial_id
        os._exit(ray._private.state.free(_temp_dir=self._trial))
"""
    assert reaches(source) == {
        "optuna.samplers._lazy",
        "optuna.samplers._lazy.State",
        "ray._raylet",
        "ray.air._internal.manager",
        "ray.air._internal.manager.Manager",
        "_trial_id",
        "_private",
        "_temp_dir",
    }
    assert reaches("import json\njson._default_decoder") == set()


@pytest.mark.parametrize("folder", FOLDERS)
def test_private_parts_of_libraries_are_reached_in_one_file_a_library(folder: str) -> None:
    for file, _ in files_of(folder):
        found = reaches((ROOT / file).read_text(encoding="utf-8"))
        assert not found or file in PRIVATE, (
            f"{file} reaches into {', '.join(sorted(found))}: only {', '.join(PRIVATE)} may reach "
            "into private parts of libraries, and give them a name"
        )


@pytest.mark.parametrize("file", PRIVATE)
def test_each_private_part_that_is_reached_has_its_check(file: str) -> None:
    checks = (ROOT / PRIVATE[file]).read_text(encoding="utf-8")
    for name in reaches((ROOT / file).read_text(encoding="utf-8")):
        last = name.rpartition(".")[2]
        assert last in checks, f"{PRIVATE[file]} does not check {name}, which {file} relies on"
