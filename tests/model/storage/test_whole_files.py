"""A file that is written is the old one or the new one, whatever goes wrong, and nothing beside."""

from __future__ import annotations

import ast
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from model.storage.whole_files import drop_unfinished, replace_whole, write_whole
from tests.search.small_disk import fill, make_room, read_only, small_disk

ROOT = Path(__file__).parents[3]


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize("content", ["ein Käfer\r\nund\n", b"\x00\xff\r\n"])
def test_what_was_written_is_there_to_the_byte(tmp_path: Path, content: str | bytes) -> None:
    for _ in range(2):
        write_whole(tmp_path / "file.txt", content)
    expected = content.encode() if isinstance(content, str) else content
    assert (tmp_path / "file.txt").read_bytes() == expected
    assert names(tmp_path) == ["file.txt"]


def test_a_reader_sees_the_old_file_until_the_new_one_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, seen, flush = tmp_path / "file.txt", [], os.fsync
    write_whole(file, "old")

    def look(descriptor: int) -> None:
        flush(descriptor)
        seen.append((file.read_text(), os.fstat(descriptor).st_size))

    monkeypatch.setattr(os, "fsync", look)
    write_whole(file, "newer")
    assert seen == [("old", 5)]
    assert file.read_text() == "newer"
    write_whole(file, "made again", can_be_made_again=True)
    assert len(seen) == 1
    assert file.read_text() == "made again"


def test_a_writer_finds_nothing_and_a_name_that_no_other_program_reads(tmp_path: Path) -> None:
    file, given = tmp_path / "events.out.tfevents.0.study", []

    def write(unfinished: Path) -> None:
        given.append(unfinished)
        with unfinished.open("x") as new:  # there must be none
            new.write("event")

    for _ in range(2):
        replace_whole(file, write)
    first, second = given
    assert first != second
    assert {first.parent, second.parent} == {tmp_path}
    assert first.name.startswith(".")
    assert first.suffix == ".unfinished"
    assert "tfevents" not in first.name
    assert (names(tmp_path), file.read_text()) == ([file.name], "event")


def fails(_unfinished: Path) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fails_half_way(unfinished: Path) -> None:
    unfinished.write_bytes(b"half of i")
    fails(unfinished)


def fails_for_another_reason(unfinished: Path) -> None:
    unfinished.write_bytes(b"half of i")
    raise ValueError("no such tensor")


def is_interrupted(unfinished: Path) -> None:
    unfinished.write_bytes(b"half of i")
    raise KeyboardInterrupt


@pytest.mark.parametrize("write", [fails, fails_half_way, fails_for_another_reason, is_interrupted])
@pytest.mark.parametrize("before", [None, "old"])
def test_what_fails_half_way_keeps_the_old_file_and_leaves_nothing(
    tmp_path: Path, write: Callable[[Path], None], before: str | None
) -> None:
    file = tmp_path / "file.txt"
    if before is not None:
        file.write_text(before)
    there = names(tmp_path)
    with pytest.raises((OSError, ValueError, KeyboardInterrupt)) as error:
        replace_whole(file, write)
    assert names(tmp_path) == there
    assert before is None or file.read_text() == before
    if isinstance(error.value, OSError):
        assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(file))


def test_what_cannot_be_flushed_is_not_taken_for_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    file = tmp_path / "file.txt"
    write_whole(file, "old")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match=r"file\.txt") as error:
        write_whole(file, "new")
    assert error.value.errno == errno.EIO
    assert (names(tmp_path), file.read_text()) == (["file.txt"], "old")


def test_a_full_disk_keeps_the_old_file_and_says_which(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        file = disk / "file.txt"
        write_whole(file, "old")
        fill(disk)
        there = names(disk)
        with pytest.raises(OSError, match=r"file\.txt") as error:
            write_whole(file, "new" * 5000)
        assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(file))
        assert (names(disk), file.read_text()) == (there, "old")
        make_room(disk)
        write_whole(file, "new" * 5000)
        assert file.read_text() == "new" * 5000


def test_a_full_disk_is_told_of_a_library_that_does_not_say_why(tmp_path: Path) -> None:
    def write(unfinished: Path) -> None:
        try:
            unfinished.write_bytes(bytes(1 << 20))
        except OSError:
            raise RuntimeError("unexpected pos 64 vs 0") from None

    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        fill(disk)
        there = names(disk)
        with pytest.raises(OSError, match=r"last\.pt") as error:
            replace_whole(disk / "last.pt", write)
        assert error.value.errno == errno.ENOSPC
        assert names(disk) == there


def test_where_nothing_can_be_written_the_file_is_named(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere" / "file.txt"
    with pytest.raises(FileNotFoundError) as missing:
        write_whole(nowhere, "new")
    assert missing.value.filename == str(nowhere)
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(IsADirectoryError) as taken:
        write_whole(tmp_path / "folder.txt", "new")
    assert taken.value.filename == str(tmp_path / "folder.txt")
    assert names(tmp_path) == ["folder.txt"]


def test_a_folder_that_is_read_only_is_told_with_the_files_name(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write_whole(folder / "file.txt", "old")
    with read_only(folder):
        with pytest.raises(OSError, match=r"file\.txt") as error:
            write_whole(folder / "file.txt", "new")
        assert error.value.errno == errno.EROFS
        assert (names(folder), (folder / "file.txt").read_text()) == (["file.txt"], "old")


def rights(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_new_file_has_the_usual_rights_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "file.txt", "old")
    finally:
        os.umask(before)
    assert rights(tmp_path / "file.txt") == 0o640
    for kept in (0o600, 0o664, 0o444):
        (tmp_path / "file.txt").chmod(kept)
        write_whole(tmp_path / "file.txt", "new")
        assert rights(tmp_path / "file.txt") == kept


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    left: list[bytes] = []

    def write(unfinished: Path) -> None:
        unfinished.write_bytes(b"half")
        left.append(bytes(unfinished))

    replace_whole(tmp_path / "file.txt", write)
    Path(os.fsdecode(left[0])).write_bytes(b"half")  # as kill -9 leaves it
    (tmp_path / "metrics.unfinished").write_bytes(b"half")  # as earlier versions named it
    (tmp_path / ".lock").touch()
    drop_unfinished(tmp_path)
    assert names(tmp_path) == [".lock", "file.txt"]
    drop_unfinished(tmp_path / "nowhere")


def replacing(source: str) -> list[int]:
    """The lines that flush a file to the disk, or put it in the place of another."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (
            node.func.attr in ("mkstemp", "NamedTemporaryFile", "fsync")
            or ast.unparse(node.func) in ("os.replace", "os.rename")
            or (node.func.attr == "replace" and len(node.args) == 1 and not node.keywords)
        )
    ]


def test_there_is_one_place_that_writes_beside_and_renames() -> None:
    assert replacing("a.replace(b)\nos.fsync(1)\n'a'.replace('b', '')\nos.replace(a, b)") == [
        1,
        2,
        4,
    ]
    for folder in ("spaces", "model", "search", "benchmarks", "cluster"):
        for file in (ROOT / folder).rglob("*.py"):
            found = replacing(file.read_text(encoding="utf-8"))
            # A token that another search has just made stays: it is linked, and replaces nothing.
            assert not found or file.name in ("whole_files.py", "ray_token.py"), (
                f"{file.relative_to(ROOT)}, line(s) {found}: write_whole and replace_whole of "
                "model/storage/whole_files.py replace a file"
            )
