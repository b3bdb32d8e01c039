"""What may stand in a file's place that is no such file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random


def remove(file: Path) -> None:
    file.unlink()


def folder_instead(file: Path) -> None:
    file.unlink()
    file.mkdir()


def full_folder_instead(file: Path) -> None:
    folder_instead(file)
    (file / file.name).write_bytes(b"x")


def link_to_itself(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def link_to_nothing(file: Path) -> None:
    file.unlink()
    file.symlink_to("nothing")


def link_to_its_folder(file: Path) -> None:
    file.unlink()
    file.symlink_to(".")


def forbid(file: Path) -> None:
    """Only for one who is not root."""
    file.chmod(0)


def rename(file: Path) -> None:
    file.rename(file.with_name(f"{file.name}.txt"))


def file_instead_of_its_folder(file: Path) -> None:
    shutil.rmtree(file.parent)
    file.parent.write_bytes(b"x")


PLACES: list[Callable[[Path], None]] = [
    *(remove, folder_instead, full_folder_instead, link_to_itself, link_to_nothing),
    *(link_to_its_folder, forbid, rename),
]


def displaced(file: Path, chance: Random) -> list[str]:
    """Put something else in the file's place; its name."""
    place = chance.choice(PLACES)
    place(file)
    return [f"{file.name}: {place.__name__}"]
