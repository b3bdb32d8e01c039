"""The data and the packaged encoder that a benchmark measures with."""

from __future__ import annotations

from model import Material, load_material
from spaces import EMBEDDED, parse_study


def material(data: str, with_extra: bool = False) -> Material:
    """The embedded data, or those of a folder."""
    tables = {"data": {"path": data}, "space": {"extra_data": with_extra}}
    return load_material(parse_study(tables, "benchmark", "the benchmark"))


def data_kind(data: str) -> str:
    """What a result says of its data: where somebody keeps it concerns nobody."""
    return EMBEDDED if data == EMBEDDED else "folder"
