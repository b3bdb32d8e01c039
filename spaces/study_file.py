"""A study file: TOML with the tables [encoder], [data], [space], [search] and [resources]."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spaces.config import TASKS, factors
from spaces.declare import build, key, keys
from spaces.domains import Choice, Domain, Interval, IntInterval, Simplex, Text, Value
from spaces.errors import UserError, unknown
from spaces.space import Space

EMBEDDED = "embedded"  # data that are made, not read
MINILM = "minilm"  # the checkpoint that is installed with ablatune
STUDIES = Path(__file__).parent.parent / "studies"


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """[encoder]: where the pretrained weights come from."""

    name: str = key(
        MINILM,
        Text(f'"{MINILM}" (packaged), a folder, or a checkpoint on the Hugging Face hub'),
        "the pretrained encoder that every trial starts from: BERT, or another family's",
    )


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """[data]: what is trained and evaluated on."""

    path: str = key(
        EMBEDDED,
        Text(f'"{EMBEDDED}" or a folder with the CS 224N files'),
        "where the examples come from",
    )
    train: int = key(
        2048, IntInterval(32, 100_000), "embedded data only: training examples of each task"
    )
    dev: int = key(
        512, IntInterval(32, 100_000), "embedded data only: development examples of each task"
    )
    seed: int = key(0, IntInterval(0, 2**31 - 1), "embedded data only: seed of the generator")


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """[search]: how configurations are chosen and when trials are stopped."""

    sampler: str = key(
        "tpe",
        Choice(("tpe", "gp", "random", "grid")),
        "who proposes configurations: Optuna's samplers, or every one of a categorical space once",
        source="Bergstra et al. 2011; Watanabe 2023",
    )
    scheduler: str = key(
        "asha",
        Choice(("asha", "none")),
        "stop the worst trials at each rung, or train all to the end",
        source="Li et al. 2020",
    )
    trials: int = key(32, IntInterval(1, 1_000_000), "trials to run; a grid never runs more")
    grace_epochs: float = key(
        1.0,
        Interval(0.001, 10_000.0),
        "the first rung: no trial is stopped before this epoch; 0.25 is a quarter of the first",
    )
    reduction_factor: int = key(
        3, IntInterval(2, 100), "one in this many goes on at a rung; rungs grow by it"
    )
    objective: str = key(
        "mean", Choice(("mean", *TASKS)), "the dev score to maximise: all tasks' mean, or one's"
    )
    hours: float | None = key(
        None, Interval(0.0, 100_000.0), "start no trial after this many hours of search"
    )
    seed: int = key(0, IntInterval(0, 2**31 - 1), "seed of the sampler")
    keep: int = key(
        3, IntInterval(1, 1_000_000), "keep the weights of this many best trials that have ended"
    )


@dataclass(frozen=True, kw_only=True)
class ResourceSettings:
    """[resources]: what one trial takes."""

    processes: int = key(1, IntInterval(1, 1024), "processes of a trial")
    cpus: int = key(1, IntInterval(1, 1024), "CPU cores, and threads, of a process")
    gpus: float | None = key(
        None,
        Interval(0.0, 16.0),
        "GPUs of a process; left out, one where the cluster has any",
    )
    concurrent: int | None = key(
        None, IntInterval(1, 100_000), "trials side by side; left out, as many as fit"
    )
    silence: float | None = key(
        None,
        Interval(0.001, 1000.0),
        "hours without a sign of life after which a trial's worker is ended and the trial goes on "
        "in another; left out, ten times the longest silence so far, and at least ten minutes",
    )
    precision: str = key(
        "auto",
        Choice(("auto", "fp32", "bf16")),
        "of the encoder's matrix products; auto is bf16 where the hardware has it",
    )


TABLES: dict[str, type[Any]] = {
    "encoder": EncoderSettings,
    "data": DataSettings,
    "search": SearchSettings,
    "resources": ResourceSettings,
}


@dataclass(frozen=True)
class StudyFile:
    """A study as its file declares it, validated."""

    name: str
    space: Space = field(default_factory=Space)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    data: DataSettings = field(default_factory=DataSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    resources: ResourceSettings = field(default_factory=ResourceSettings)

    def __post_init__(self) -> None:
        if self.search.sampler == "grid":
            next(self.space.grid())  # raises where there is no grid
        if self.search.grace_epochs > self.epochs:
            raise UserError(
                f"search.grace_epochs must be at most space.epochs, but "
                f"{self.search.grace_epochs:g} > {self.epochs}."
            )
        fewest, _ = self.space.bounds("samples_per_epoch")
        _, largest = self.space.bounds("batch_size")
        if self.search.grace_epochs < min(1, largest / fewest):
            raise UserError(
                f"search.grace_epochs must be at least one update, but {self.search.grace_epochs:g}"
                f" of samples_per_epoch {fewest} is less than batch_size {largest}."
            )

    @property
    def epochs(self) -> int:
        """The full budget of a trial."""
        return int(self.space.fixed["epochs"])

    def tables(self) -> dict[str, dict[str, Value]]:
        """What to write as TOML: every key with its value, so that defaults may change later."""
        written = {name: dataclasses.asdict(getattr(self, name)) for name in TABLES}
        return {
            "encoder": _without_none(written["encoder"]),
            "data": _without_none(written["data"]),
            "space": {
                name: _written(self.space.free[name])
                if name in self.space.free
                else _plain(self.space.fixed[name])
                for name in factors()
            },
            "search": _without_none(written["search"]),
            "resources": _without_none(written["resources"]),
        }


def load_study(study: str | Path, overrides: Sequence[str] = ()) -> StudyFile:
    """A study from a file, or from the name of one in `studies/`, with `--set` overrides.

    A relative `data.path` or `encoder.name` folder in a file counts from the file's folder, one
    in an override from the working directory.

    Raises:
        UserError: if there is no such file, it is not TOML, or something in it is not allowed.
    """
    file = _find(study)
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not a TOML file: {error}.") from None
    _resolve_paths(document, file.parent)
    changes = parse_overrides(overrides)
    _resolve_paths(changes, Path.cwd())
    for table, values in changes.items():
        written = document.setdefault(table, {})
        if isinstance(written, dict):  # anything else is refused by parse_study
            written.update(values)
    return parse_study(document, file.stem, str(file))


def parse_study(document: Mapping[str, Any], name: str, where: str) -> StudyFile:
    """A study from a parsed TOML document; `where` is named in errors."""
    for table, values in document.items():
        if table not in (*TABLES, "space"):
            raise unknown("table", table, (*TABLES, "space"), where)
        if not isinstance(values, dict):
            raise UserError(f"{where}: {table} must be a table, written [{table}].")
    built: dict[str, Any] = {
        t: build(cls, document.get(t, {}), f"{where} [{t}]") for t, cls in TABLES.items()
    }
    space = Space.parse(document.get("space", {}), f"{where} [space]")
    return StudyFile(name, space, **built)


def parse_overrides(overrides: Sequence[str]) -> dict[str, dict[str, Value]]:
    """`TABLE.KEY=VALUE` texts as tables; a factor may be named without its table.

    Raises:
        UserError: for a text without "=", an unknown table or an unknown key.
    """
    known = {table: keys(cls) for table, cls in TABLES.items()} | {"space": factors()}
    tables: dict[str, dict[str, Value]] = {}
    for text in overrides:
        path, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set {text}: write KEY=VALUE, for example --set search.trials=8.")
        table, dot, name = path.strip().partition(".")
        if not dot:
            table, name = "space", table
        if table not in known:
            raise unknown("table", table, known, f"--set {text}")
        if name not in known[table]:
            elsewhere = [f"{t}.{name}" for t in known if not dot and name in known[t]]
            shown = elsewhere or ([f"{table}.{n}" for n in known[table]] if dot else known[table])
            raise unknown("key", path.strip(), shown, f"--set {text}")
        tables.setdefault(table, {})[name] = _parse_value(value.strip(), known[table][name].domain)
    return tables


def _parse_value(text: str, domain: Domain) -> Value:
    """TOML where it is TOML, else the text itself (so that paths and words need no quotes)."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    # A folder may be called 2024 or true.
    return text if isinstance(domain, Text) and not isinstance(value, str) else value


def _find(study: str | Path) -> Path:
    file = Path(study)
    if file.is_file():
        return file
    named = STUDIES / f"{study}.toml"
    if named.is_file():
        return named
    names = sorted(path.stem for path in STUDIES.glob("*.toml"))
    raise UserError(f"There is no study file {study}; name a TOML file, or one of {names}.")


def _resolve_paths(document: Mapping[str, Any], folder: Path) -> None:
    """Make relative folders absolute; a hub id and what is packaged are left alone."""
    for table, name, packaged in (("data", "path", EMBEDDED), ("encoder", "name", MINILM)):
        settings = document.get(table)
        value = settings.get(name) if isinstance(settings, dict) else None
        if not isinstance(settings, dict) or not isinstance(value, str):
            continue
        if value == packaged or not value.strip():
            continue
        try:
            path = folder / Path(value).expanduser()
        except RuntimeError:  # ~NAME of no user
            raise UserError(f"{table}.{name}: there is no home folder for {value}.") from None
        if table == "data" or path.is_dir():
            settings[name] = str(path.resolve())


def _written(domain: Domain) -> Value:
    match domain:
        case Choice(options):
            return [_plain(option) for option in options]
        case Interval(low, high, log) | IntInterval(low, high, log):
            return {"low": low, "high": high, "log": log}
        case Simplex():
            return "free"
    raise TypeError(f"a study file cannot free a factor over {domain!r}")


def _plain(value: Value) -> Value:
    return list(value) if isinstance(value, tuple) else value


def _without_none(values: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if value is not None}
