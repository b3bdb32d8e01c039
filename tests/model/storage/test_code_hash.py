"""What is kept is found again by the same code only, wherever a file of it lies."""

from __future__ import annotations

import shutil
from pathlib import Path

from model.storage.code_hash import code_hash, model_folder


def test_any_file_of_any_folder_counts(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model_folder(), tmp_path / "model"))
    hashes = {code_hash(folder)}
    files = sorted(folder.rglob("*.py"))
    assert len(files) > 50
    for number, file in enumerate(files, start=2):
        file.write_bytes(file.read_bytes() + b"\n")
        code_hash.cache_clear()
        hashes.add(code_hash(folder))
        assert len(hashes) == number, file


def test_a_file_that_moves_counts_and_others_do_not(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.py").write_text("1")
    before = code_hash(tmp_path)
    (tmp_path / "a.pyc").write_text("2")
    code_hash.cache_clear()
    assert code_hash(tmp_path) == before
    (tmp_path / "a.py").rename(tmp_path / "deep" / "a.py")
    code_hash.cache_clear()
    assert code_hash(tmp_path) != before


def test_it_is_that_of_this_package() -> None:
    assert (model_folder() / "__main__.py").exists()
    assert code_hash() == code_hash(model_folder())
