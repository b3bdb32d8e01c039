"""Translates between values from the declared domains and the parameters of Optuna's trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from spaces import Choice, Domain, Interval, IntInterval, Simplex, Space, Value, toml_text


def distributions(name: str, domain: Domain) -> dict[str, BaseDistribution]:
    """The parameters of one factor. A simplex of K weights has K-1, from 0 to 1."""
    match domain:
        case Choice(options):
            return {name: CategoricalDistribution([_option(option) for option in options])}
        case Interval(low, high, log):
            return {name: FloatDistribution(low, high, log=log)}
        case IntInterval(low, high, log):
            return {name: IntDistribution(low, high, log=log)}
        case Simplex():
            unit = FloatDistribution(0.0, 1.0)
            return {f"{name}.{number}": unit for number in range(domain.free_numbers)}
    raise TypeError(f"no Optuna distribution for {domain!r}")


Ask: TypeAlias = Callable[[str, BaseDistribution], Value]


def draw(space: Space, ask: Ask) -> dict[str, Value]:
    """The values of the active free factors; `ask` is asked for each parameter's, in order of
    declaration."""
    values: dict[str, Value] = {}
    for name, domain in space.free.items():
        if space.is_active(name, values):
            asked = {
                parameter: ask(parameter, distribution)
                for parameter, distribution in distributions(name, domain).items()
            }
            values[name] = decode(domain, asked)
    return values


def suggest(trial: optuna.Trial, space: Space) -> dict[str, Value]:
    """The values that Optuna's trial has or draws, and keeps."""
    return draw(space, partial(_ask, trial))


def random_points(space: Space, count: int, seed: int = 0) -> list[dict[str, Value]]:
    """Points drawn at random, as Optuna's `RandomSampler` draws them; the same for a seed."""
    with quiet():
        drawn = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return [suggest(drawn.ask(), space) for _ in range(count)]


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna says nothing but warnings meanwhile."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _ask(trial: optuna.Trial, parameter: str, distribution: BaseDistribution) -> Value:
    match distribution:
        case CategoricalDistribution():
            return trial.suggest_categorical(parameter, distribution.choices)
        case FloatDistribution():
            low, high = distribution.low, distribution.high
            return trial.suggest_float(parameter, low, high, log=distribution.log)
        case IntDistribution():
            low, high = distribution.low, distribution.high
            return trial.suggest_int(parameter, low, high, log=distribution.log)
    raise TypeError(f"cannot ask for {distribution!r}")


def encode(space: Space, values: Mapping[str, Value]) -> dict[str, Value]:
    """A point's values as Optuna's parameters: the inverse of `suggest`."""
    parameters: dict[str, Value] = {}
    for name, value in values.items():
        match space.free[name]:
            case Simplex() as simplex:
                numbers = enumerate(simplex.unit(value))
                parameters |= {f"{name}.{number}": share for number, share in numbers}
            case Choice():
                parameters[name] = _option(value)
            case _:
                parameters[name] = value
    return parameters


def values_of(space: Space, parameters: Mapping[str, Value]) -> dict[str, Value]:
    """The values of a stored trial's parameters."""
    return {
        name: decode(domain, {p: parameters[p] for p in distributions(name, domain)})
        for name, domain in space.free.items()
        if all(p in parameters for p in distributions(name, domain))
    }


def decode(domain: Domain, parameters: Mapping[str, Value]) -> Value:
    """The value that one factor's parameters stand for."""
    if isinstance(domain, Simplex):
        return domain.weights(tuple(parameters.values()))
    (parameter,) = parameters.values()
    if isinstance(domain, Choice):
        return next(option for option in domain.options if _same(_option(option), parameter))
    return parameter


def _option(option: Value) -> Value:
    """Optuna's categories are plain values; a tuple of weights goes in as its text."""
    return toml_text(option) if isinstance(option, tuple) else option


def _same(option: Value, parameter: Value) -> bool:
    return type(option) is type(parameter) and bool(option == parameter)
