"""A space: which factors vary over which domains, and the values of the rest."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

from spaces.config import Config, conditions_on, factors, is_active
from spaces.declare import Condition, Key
from spaces.domains import Choice, Domain, Interval, IntInterval, Simplex, Value, shown, toml_text
from spaces.errors import UserError, unknown

FREE = "free"  # in a study file: vary over the whole declared domain


@dataclass(frozen=True)
class Space:
    """`free` in order of declaration; `fixed` holds every other factor's value."""

    free: Mapping[str, Domain] = field(default_factory=dict)
    fixed: Mapping[str, Value] = field(default_factory=lambda: Config().values())

    @classmethod
    def parse(
        cls, table: Mapping[str, Value], where: str, meant: Collection[str] | None = None
    ) -> Space:
        """A space from a study file's table: a list, a {low, high, log} table or "free" frees a
        factor, a plain value fixes it, and what is left out has its default.

        Args:
            where: named in errors.
            meant: the factors whose values the user set for this space, so that none may be without
                effect; None for all of the table, but of none where it lists every factor, as a
                study that was written out does.

        Raises:
            UserError: for an unknown factor, a value or a part of a domain that is not allowed, or
                a factor that is free, or meant to have another value than its default, and could
                never be active.
        """
        declared = factors()
        for name in table:
            if name not in declared:
                raise unknown("factor", name, declared, where)
        free: dict[str, Domain] = {}
        fixed: dict[str, Value] = {}
        for name, factor in declared.items():
            written = table.get(name, factor.default)
            domain = _freed(factor, written, where)
            if domain is None:
                fixed[name] = factor.accept(written, where)
            elif not factor.searchable:
                raise UserError(f"{where}: {name} must be one value for all trials of a study.")
            else:
                free[name] = domain
        space = cls(free, fixed)
        idle = [name for name in declared if not space.can_be_active(name)]
        if free_idle := [name for name in idle if name in free]:
            raise space._free_without_effect(free_idle, where)
        if meant is None:
            meant = () if table.keys() >= declared.keys() else table.keys()
        for name in idle:
            if name in meant and fixed[name] != declared[name].default:
                raise space._set_without_effect(name, where)
        return space

    def _free_without_effect(self, names: Sequence[str], where: str) -> UserError:
        """What else to set, so that a command line can be made of it."""
        defaults = [f"{name}={toml_text(factors()[name].default)}" for name in names]
        fixes = " ".join(f"--set {shlex.quote(text)}" for text in defaults)
        roots = " and ".join(f"{root} is {self._told(root)}" for root in self._roots(names))
        if len(names) == 1:
            active_where = factors()[names[0]].active_where
            told = f"{names[0]} is free but has no effect here: it acts only where {active_where}"
            return UserError(f"{where}: {told}. Where {roots}, fix it too: {fixes}.")
        listed = f"{', '.join(names[:-1])} and {names[-1]}"
        told = f"{listed} are free but have no effect here, where {roots}"
        return UserError(f"{where}: {told}. Fix them too: {fixes}.")

    def _set_without_effect(self, name: str, where: str) -> UserError:
        roots = " and ".join(f"{root} is {self._told(root)}" for root in self._roots([name]))
        return UserError(
            f"{where}: {name} is set to {shown(self.fixed[name])} but has no effect here, where "
            f"{roots}: it acts only where {factors()[name].active_where}. Set that too, or leave "
            f"{name} out."
        )

    def _roots(self, names: Iterable[str]) -> list[str]:
        """The factors whose values keep `names` from acting, and that can act themselves."""
        found: dict[str, None] = {}
        for name in names:
            for condition in factors()[name].when:
                if not self.can_be_active(condition.factor):
                    found |= dict.fromkeys(self._roots([condition.factor]))
                elif not self._can_hold(condition):
                    found[condition.factor] = None
        return list(found)

    def _told(self, name: str) -> str:
        """What a factor is here, in words that follow "is"."""
        return self.free[name].describe() if name in self.free else shown(self.fixed[name])

    def config(self, values: Mapping[str, Value] | None = None, **fixed: Value) -> Config:
        """The configuration at a point; a free factor that `values` leaves out has its default
        where the space allows it, else the first value that the space allows."""
        return Config.of({**self._defaults, **(values or {}), **fixed})

    def point(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """The active free factors' values where these are wished for: a factor that is fixed stays
        so, and one that may not have its value here, or has none, is as in `config()`."""
        allowed: dict[str, Value] = {}
        for name in self.free.keys() & values.keys():
            with suppress(ValueError):
                allowed[name] = self.free[name].accept(values[name])
        active = self.config(allowed).active()
        return {name: active[name] for name in self.free if name in active}

    def check(self, values: Mapping[str, Value], where: str) -> dict[str, Value]:
        """The free factors' values that are active at a point from outside.

        Raises:
            UserError: for a factor that is not free or a value outside its domain here.
        """
        checked: dict[str, Value] = {}
        for name, value in values.items():
            if name not in self.free:
                raise unknown("free factor", name, self.free, where)
            checked[name] = replace(factors()[name], domain=self.free[name]).accept(value, where)
        return {name: value for name, value in checked.items() if self.is_active(name, checked)}

    def is_active(self, name: str, values: Mapping[str, Value]) -> bool:
        """Whether a factor has an effect, given the free factors declared before it."""
        return is_active(name, {**self._defaults, **values})

    @cached_property
    def _defaults(self) -> dict[str, Value]:
        """Every factor's value where a point leaves it out."""
        chosen = {name: _usual(factors()[name], domain) for name, domain in self.free.items()}
        return {**self.fixed, **chosen}

    @property
    def is_grid(self) -> bool:
        """Whether it has finitely many configurations: every free factor takes finitely many
        values, be they listed or an interval's integers."""
        return all(domain.values is not None for domain in self.free.values())

    @cached_property
    def size(self) -> int | None:
        """How many different configurations it has, counted without listing them; None where
        there is no end of them."""
        return self._count(0, {}, {}) if self.is_grid else None

    def _count(
        self, at: int, switches: Mapping[str, Value], known: dict[tuple[Value, ...], int]
    ) -> int:
        """The configurations of the free factors from the position `at` on, given the values of
        those before it on which the conditions of any depend."""
        names = tuple(self.free)
        if at == len(names):
            return 1
        key = (at, *[(name, type(value), value) for name, value in switches.items()])
        if key not in known:
            name, values = names[at], self.free[names[at]].values or ()
            if not self.is_active(name, switches):
                known[key] = self._count(at + 1, switches, known)
            elif name not in self._switches:
                known[key] = len(values) * self._count(at + 1, switches, known)
            else:
                known[key] = sum(
                    self._count(at + 1, {**switches, name: value}, known) for value in values
                )
        return known[key]

    @cached_property
    def _switches(self) -> frozenset[str]:
        """The factors on whose values it depends which of the free ones are active."""
        return conditions_on(self.free)

    def bounds(self, name: str) -> tuple[float, float]:
        """The smallest and the largest value that a numeric factor can take."""
        if name not in self.free:
            return self.fixed[name], self.fixed[name]
        domain = self.free[name]
        if isinstance(domain, Interval | IntInterval):
            return domain.low, domain.high
        levels = domain.levels or ()
        return min(levels), max(levels)

    def grid(self) -> Iterator[dict[str, Value]]:
        """Every configuration once, as the active free factors' values.

        Raises:
            UserError: if a free factor takes more values than can be counted.
        """
        for name, domain in self.free.items():
            if domain.values is None:
                raise UserError(
                    f"A grid needs a list of values or an interval of integers for every free "
                    f"factor, but {name} is {domain.describe()}."
                )
        yield from self._points(tuple(self.free), {})

    def _points(self, names: Sequence[str], point: dict[str, Value]) -> Iterator[dict[str, Value]]:
        """The grid's points that begin with `point` and vary `names`."""
        if not names:
            yield point
        elif not self.is_active(names[0], point):
            yield from self._points(names[1:], point)
        else:
            for value in self.free[names[0]].values or ():
                yield from self._points(names[1:], {**point, names[0]: value})

    def can_be_active(self, name: str) -> bool:
        """Whether the space allows a value under which the factor `name` has an effect."""
        return all(
            self._can_hold(condition) and self.can_be_active(condition.factor)
            for condition in factors()[name].when
        )

    def _can_hold(self, condition: Condition) -> bool:
        """Whether the factor of a condition can have a value here under which it holds."""
        name = condition.factor
        allowed = self.free[name].values or () if name in self.free else (self.fixed[name],)
        return any(condition.holds({name: value}) for value in allowed)


def _freed(factor: Key, written: Value, where: str) -> Domain | None:
    """The domain that a written value frees the factor over, or None where it fixes it."""
    if isinstance(written, dict):
        return _part(factor, written, where)
    if written == FREE:
        return factor.domain
    is_value = isinstance(factor.domain, Simplex) and not _is_list_of_lists(written)
    if isinstance(written, list) and not is_value:
        if not written:
            raise UserError(f"{where}: {factor.name} is an empty list; list the values to try.")
        try:
            return Choice(tuple(factor.accept(value, where) for value in written))
        except ValueError as error:
            raise UserError(f"{where}: {factor.name}: {error}.") from None
    return None


def _is_list_of_lists(written: Value) -> bool:
    return isinstance(written, list) and all(isinstance(item, list) for item in written)


def _part(factor: Key, written: Mapping[str, Value], where: str) -> Domain:
    """The part {low, high, log} of a declared interval that a study file names."""
    domain = factor.domain
    if not isinstance(domain, Interval | IntInterval):
        raise UserError(
            f"{where}: {factor.name} takes no {{low, high}}; it must be {domain.describe()}, "
            'or a list of such values, or "free".'
        )
    for name in written:
        if name not in ("low", "high", "log"):
            raise unknown("key", name, ("low", "high", "log"), f"{where}, {factor.name}")
    log = written.get("log", domain.log)
    if not isinstance(log, bool):
        raise UserError(f"{where}: {factor.name}.log must be true or false.")
    low, high = (
        replace(factor, name=f"{factor.name}.{end}").accept(written.get(end, bound), where)
        for end, bound in (("low", domain.low), ("high", domain.high))
    )
    try:
        return type(domain)(low, high, log)
    except ValueError as error:
        raise UserError(f"{where}: {factor.name}: {error}.") from None


def _usual(factor: Key, domain: Domain) -> Value:
    """A factor's default where the domain allows it, else the nearest end or the first option."""
    try:
        return domain.accept(factor.default)
    except ValueError:
        if isinstance(domain, Interval | IntInterval):
            return domain.low if factor.default < domain.low else domain.high
        assert domain.levels is not None
        return domain.levels[0]
