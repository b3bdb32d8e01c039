"""Configurations as TensorBoard's hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

from spaces.domains import Choice, Domain, Interval, IntInterval, Simplex, toml_text

Shown: TypeAlias = bool | float | str  # what HParams can show


def shown_factors(config: Mapping[str, object], domains: Mapping[str, Domain]) -> dict[str, Shown]:
    """The values as HParams shows them, in the types that `hparam_columns` declares."""
    shown: dict[str, Shown] = {}
    for name, value in config.items():
        domain = domains.get(name)
        if value is None:
            continue
        if isinstance(domain, Simplex) and isinstance(value, list | tuple):
            weights = zip(domain.names, value, strict=True)
            shown |= {f"{name}.{component}": weight for component, weight in weights}
        elif isinstance(value, bool | int | float) and not _is_text(domain):
            shown[name] = value
        else:
            shown[name] = _text(value)
    return shown


def hparam_columns(name: str, domain: Domain) -> list[Any]:
    """The HParamInfo messages of a factor; one with no domain takes any value."""
    if isinstance(domain, Simplex):
        weights = [_interval(f"{name}.{component}", 0, 1) for component in domain.names]
        for weight in weights:
            # TensorBoard ticks five columns at first, those that "differ" before the others: the
            # factors should be among them, not all the weights of one.
            weight.differs = False
        return weights
    if isinstance(domain, Interval | IntInterval):
        return [_interval(name, domain.low, domain.high)]
    info = hparam_column(name, api_pb2.DATA_TYPE_STRING)
    if isinstance(domain, Choice):
        if _is_text(domain):
            info.domain_discrete.extend(_text(option) for option in domain.options)
        else:
            boolean = isinstance(domain.options[0], bool)
            info.type = api_pb2.DATA_TYPE_BOOL if boolean else api_pb2.DATA_TYPE_FLOAT64
            info.domain_discrete.extend(domain.options)
    return [info]


def _interval(name: str, low: float, high: float) -> Any:
    bounds = api_pb2.Interval(min_value=low, max_value=high)
    return hparam_column(name, api_pb2.DATA_TYPE_FLOAT64, domain_interval=bounds)


def hparam_column(name: str, kind: int, **domain: Any) -> Any:
    return api_pb2.HParamInfo(name=name, type=kind, differs=True, **domain)


def _is_text(domain: Domain | None) -> bool:
    """Whether a choice is shown as text: a column has one type, and no column holds tuples."""
    if not isinstance(domain, Choice):
        return False
    kinds = {type(option) for option in domain.options}
    return kinds != {bool} and not kinds <= {int, float}


def _text(value: object) -> str:
    return value if isinstance(value, str) else toml_text(value)


def hparams_of(tag: str, **content: Any) -> Any:
    """A message to the HParams plugin, which travels as the metadata of an empty tensor."""
    about = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(**content))
    return Summary(value=[Summary.Value(tag=tag, metadata=about, tensor=metadata.NULL_TENSOR)])
