"""Declared keys: a dataclass field that carries its domain, meaning and source.

A table of a study file is a frozen dataclass whose fields are made by `key`. `build` turns what a
user wrote into an instance, or into one sentence on what is wrong.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from spaces.domains import Domain, Value, shown, toml_text
from spaces.errors import UserError, unknown

Table = TypeVar("Table")


@dataclass(frozen=True)
class Condition:
    """Active where the factor `factor`, declared earlier, has one of the values `among`."""

    factor: str
    among: tuple[Value, ...]

    def holds(self, values: Mapping[str, Value]) -> bool:
        return values[self.factor] in self.among

    def describe(self) -> str:
        return f"{self.factor} is {' or '.join(toml_text(value) for value in self.among)}"


@dataclass(frozen=True)
class Key:
    """One declared key, active where all of `when` hold. `searchable` is False for what all trials
    of a study must share."""

    name: str
    default: Value
    domain: Domain
    meaning: str
    source: str = ""
    when: tuple[Condition, ...] = ()
    searchable: bool = True

    @property
    def active_where(self) -> str:
        """The conditions in words; empty where there is none."""
        return " and ".join(condition.describe() for condition in self.when)

    @property
    def optional(self) -> bool:
        return self.default is None

    def accept(self, value: Value, where: str) -> Value:
        """The value in its own type, or a `UserError` that says what is allowed."""
        if value is None and self.optional:
            return None
        try:
            return self.domain.accept(value)
        except ValueError as error:
            raise UserError(
                f"{where}: {self.name} must be {error}, but it is {shown(value)}."
            ) from None


def key(
    default: Value,
    domain: Domain,
    meaning: str,
    *,
    source: str = "",
    when: Condition | tuple[Condition, ...] = (),
    searchable: bool = True,
) -> Any:
    """A dataclass field with its declaration; `when` is its condition, or several that must hold
    together."""
    conditions = (when,) if isinstance(when, Condition) else when
    declaration = Key("", default, domain, meaning, source, conditions, searchable)
    return dataclasses.field(default=default, metadata={"key": declaration})


def keys(table: type[Any]) -> dict[str, Key]:
    """The declared keys of a table by name, in order of declaration."""
    return {
        field.name: dataclasses.replace(field.metadata["key"], name=field.name)
        for field in dataclasses.fields(table)
    }


def build(table: type[Table], values: Mapping[str, Value], where: str) -> Table:
    """A table from what a user wrote; what is left out has its default.

    Raises:
        UserError: for an unknown key or a value outside its domain; `where` is named in it.
    """
    declared = keys(table)
    accepted = {}
    for name, value in values.items():
        if name not in declared:
            raise unknown("key", name, declared, where)
        accepted[name] = declared[name].accept(value, where)
    return table(**accepted)
