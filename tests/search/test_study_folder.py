"""One search at a time writes to a study's folder, and only one that may."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from search.study_folder import StudyFolder
from spaces import StudyFile, UserError, load_study, parse_study

SPACE = {
    "epochs": 4,
    "trainable_layers": ["all", 1, 2],
    "jaccard": [True, False],
    "loss_weighting": ["equal", "tuned"],
    "loss_weights": "free",
    "batch_size": {"low": 8, "high": 64},
    "dropout": {"low": 0.0, "high": 0.5},
}
HOLD = """
import sys
from pathlib import Path
from search.study_folder import StudyFolder
with StudyFolder(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


def study_of(**changes: dict[str, Any]) -> StudyFile:
    tables = {
        "encoder": {"name": "minilm"},
        "data": {"train": 64},
        "space": SPACE,
        "search": {"trials": 8},
        "resources": {"processes": 1},
    }
    merged = {name: {**values, **changes.get(name, {})} for name, values in tables.items()}
    return parse_study(merged, "study", "study")


@contextmanager
def held_by_another(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the study's folder until it is told to end."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def wait_until_free(folder: StudyFolder) -> None:
    deadline = time.monotonic() + 10
    while folder.in_use():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_second_search_is_refused_while_the_first_one_lives(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "study")
    assert not folder.in_use()
    with held_by_another(folder.path) as process:
        assert folder.in_use()
        with (
            pytest.raises(UserError, match=rf"process {process.pid}\) is running in .*--dir"),
            folder.locked(),
        ):
            pass
        assert folder.in_use()  # asking did not free it
        process.kill()  # as hard as can be
        process.wait()
    wait_until_free(folder)
    with folder.locked():
        assert folder.in_use()
    assert not folder.in_use()


def test_a_folder_that_was_never_searched_is_not_in_use(tmp_path: Path) -> None:
    assert not StudyFolder(tmp_path).in_use()
    assert not list(tmp_path.iterdir())


def test_the_stored_study_is_the_whole_study(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "study")
    study = study_of()
    folder.open(study)
    assert folder.study() == study
    alone = tmp_path / "elsewhere" / "study.toml"
    alone.parent.mkdir()
    folder.file.rename(alone)
    again = load_study(alone)
    assert again == study
    assert list(again.space.free) == list(study.space.free)


def test_the_stored_study_is_named_after_its_folder(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "named")
    folder.open(study_of())
    assert folder.study().name == "named"


def test_the_same_study_may_go_on(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    folder.open(study_of())
    folder.open(study_of())
    assert folder.study().tables() == study_of().tables()


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("search", "trials", 99),
        ("search", "hours", 1.5),
        ("search", "total_epochs", 20.0),
        ("search", "patience", 5.0),
        ("search", "tolerance", 0.01),
        ("resources", "price", 2.5),
        ("search", "keep", 1),
        ("resources", "processes", 2),
        ("resources", "cpus", 2),
        ("resources", "concurrent", 1),
    ],
)
def test_how_much_and_where_may_change(tmp_path: Path, table: str, key: str, value: object) -> None:
    folder = StudyFolder(tmp_path)
    folder.open(study_of())
    folder.open(study_of(**{table: {key: value}}))
    assert folder.study().tables()[table][key] == value


@pytest.mark.parametrize(
    ("table", "key", "value", "shown"),
    [
        ("search", "seed", 1, "search.seed = 0, now it is 1"),
        ("search", "sampler", "random", "search.sampler = auto, now it is random"),
        ("search", "objective", "sts", "search.objective = mean, now it is sts"),
        ("search", "grace_epochs", 2, "search.grace_epochs = 1.0, now it is 2.0"),
        ("data", "train", 128, "data.train = 64, now it is 128"),
        ("encoder", "name", "other", "encoder.name = minilm, now it is other"),
        ("space", "epochs", 5, "space.epochs = 4, now it is 5"),
        ("space", "jaccard", [True], r"space.jaccard = \[True, False\], now it is \[True\]"),
    ],
)
def test_what_decides_the_numbers_may_not_change(
    tmp_path: Path, table: str, key: str, value: object, shown: str
) -> None:
    folder = StudyFolder(tmp_path)
    folder.open(study_of())
    before = folder.file.read_text()
    with pytest.raises(UserError, match=f"{shown}: .* --dir"):
        folder.open(study_of(**{table: {key: value}}))
    assert folder.file.read_text() == before


def test_where_nothing_can_be_written_is_one_sentence(tmp_path: Path) -> None:
    # A file in the way, since nothing is forbidden to root.
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        folder = StudyFolder(path)
        with pytest.raises(UserError, match="Cannot write to"), folder.locked():
            pass
        with pytest.raises(UserError, match="Cannot write to"):
            folder.open(study_of())


def test_a_folder_without_a_study_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no study's folder: it has no study\.toml"):
        StudyFolder(tmp_path).study()
