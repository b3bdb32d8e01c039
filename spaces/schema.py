"""The JSON schema of a study file, for editors (a TOML language server completes and checks)."""

from __future__ import annotations

from typing import Any

from spaces.config import factors
from spaces.declare import Key, keys
from spaces.domains import Interval, IntInterval
from spaces.settings import TABLES
from spaces.space import FREE


def study_schema() -> dict[str, Any]:
    """The JSON schema of a study file: every key with its meaning, default and domain."""
    tables = {
        name: {n: _value(k) for n, k in keys(table).items()} for name, table in TABLES.items()
    }
    tables["space"] = {name: _factor(factor) for name, factor in factors().items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ablatune study",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: {"type": "object", "additionalProperties": False, "properties": properties}
            for name, properties in tables.items()
        },
    }


def _value(key: Key) -> dict[str, Any]:
    schema = {"description": key.meaning, **key.domain.schema()}
    if not key.optional:
        schema["default"] = list(key.default) if isinstance(key.default, tuple) else key.default
    return schema


def _factor(factor: Key) -> dict[str, Any]:
    """The schema of one factor: one value fixes it; a list, an interval or "free" frees it."""
    value = _value(factor)
    if not factor.searchable:
        return value
    plain = factor.domain.schema()
    forms: list[dict[str, Any]] = [
        plain,
        {"type": "array", "items": plain, "minItems": 1, "uniqueItems": True},
    ]
    if isinstance(factor.domain, Interval | IntInterval):
        bounds = {"low": plain, "high": plain, "log": {"type": "boolean"}}
        forms.append({"type": "object", "additionalProperties": False, "properties": bounds})
    forms.append({"const": FREE})
    return {"description": factor.meaning, "default": value["default"], "anyOf": forms}
