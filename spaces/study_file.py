"""A study file: TOML with the tables [encoder], [data], [space], [search] and [resources]."""

from __future__ import annotations

import dataclasses
import sys
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spaces.config import conditions_on, factors
from spaces.declare import build, keys
from spaces.domains import (
    Choice,
    Domain,
    Interval,
    IntInterval,
    Simplex,
    Text,
    Value,
    is_text,
    shortened,
)
from spaces.errors import UserError, unknown
from spaces.settings import (
    EMBEDDED,
    MINILM,
    TABLES,
    DataSettings,
    EncoderSettings,
    ResourceSettings,
    SearchSettings,
)
from spaces.space import Space

STUDIES = Path(__file__).parent.parent / "studies"


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
        if self.sampler == "grid":
            next(self.space.grid())  # raises UserError where there is no grid
        if self.search.grace_epochs > self.epochs:
            raise UserError(
                f"search.grace_epochs must be at most space.epochs, but "
                f"{self.search.grace_epochs:g} > {self.epochs}."
            )
        if self.search.cost is not None and self.resources.price is None:
            raise UserError(
                "search.cost needs resources.price, what a node costs an hour; set it, for "
                "example --set resources.price=1.5."
            )
        fewest, _ = self.space.bounds("samples_per_epoch")
        _, largest = self.space.bounds("batch_size")
        # Where an epoch is all data, `model.load_material` checks the same.
        drawn = self.space.can_be_active("samples_per_epoch")
        if drawn and self.search.grace_epochs < min(1, largest / fewest):
            raise UserError(
                f"search.grace_epochs must be at least one update, but {self.search.grace_epochs:g}"
                f" of samples_per_epoch {fewest} is less than batch_size {largest}."
            )

    @property
    def epochs(self) -> int:
        """The full budget of a trial."""
        return int(self.space.fixed["epochs"])

    @property
    def sampler(self) -> str:
        """Who proposes configurations: `search.sampler`, or what it stands for as "auto".

        A finite space that can be run whole needs no model of what was not run. For all
        others the Gaussian process finds the best soonest: benchmarks/efficiency.py.
        """
        if self.search.sampler != "auto":
            return self.search.sampler
        size = self.space.size
        return "grid" if size is not None and size <= self.search.trials else "gp"

    @property
    def trials(self) -> int:
        """How many trials there are to be: as asked for, or as many as there are configurations."""
        size = self.space.size
        return self.search.trials if size is None else min(self.search.trials, size)

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
            "search": {n: _plain(v) for n, v in _without_none(written["search"]).items()},
            "resources": _without_none(written["resources"]),
        }


def load_study(study: str | Path, overrides: Sequence[str] = (), stored: bool = False) -> StudyFile:
    """A study from a file, or from the name of one in `studies/`, with `--set` overrides.

    A relative `data.path` or `encoder.name` folder in a file counts from the file's folder, one
    in an override from the working directory.

    Args:
        stored: the file was written out by a study, and lists also what has no effect.

    Raises:
        UserError: if there is no such file, it cannot be read, it is not TOML, or something in it
            is not allowed.
    """
    file = _find(study)
    document = _read(file)
    if stored:
        _check_whole(document, file)
    _resolve_paths(document, file.parent)
    changes = parse_overrides(overrides)
    _resolve_paths(changes, Path.cwd())
    meant = _meant({} if stored else document, changes)
    for table, values in changes.items():
        written = document.setdefault(table, {})
        if isinstance(written, dict):  # anything else is refused by parse_study
            written.update(values)
    return parse_study(document, file.stem, str(file), meant)


def _check_whole(document: Mapping[str, Any], file: Path) -> None:
    """What a study writes out has every table. A file that was emptied, or cut behind a table, is
    TOML too, but of another study."""
    lacking = [table for table in ("encoder", "data", "space", *TABLES) if table not in document]
    if lacking:
        raise UserError(
            f"{file} has no table [{lacking[0]}]: it was emptied or cut short. Restore it, or "
            "remove it, and the next search of the study there writes it anew."
        )


def _meant(document: Mapping[str, Any], changes: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The factors that are to have an effect: those of the command line, and those of the file
    but where the command line says otherwise."""
    space, changed = document.get("space"), changes.get("space", {})
    if not isinstance(space, dict) or space.keys() >= factors().keys():
        return {*changed}
    own = {name for name in space if name in factors()}
    return {*changed, *(name for name in own if not conditions_on([name]) & changed.keys())}


def parse_study(
    document: Mapping[str, Any], name: str, where: str, meant: Collection[str] | None = None
) -> StudyFile:
    """A study from a parsed TOML document; `where` is named in errors; `meant` are the factors that
    are to have an effect (see `Space.parse`)."""
    for table, values in document.items():
        if table not in (*TABLES, "space"):
            raise unknown("table", table, (*TABLES, "space"), where)
        if not isinstance(values, dict):
            raise UserError(f"{where}: {table} must be a table, written [{table}].")
    built: dict[str, Any] = {
        t: build(cls, document.get(t, {}), f"{where} [{t}]") for t, cls in TABLES.items()
    }
    space = Space.parse(document.get("space", {}), f"{where} [space]", meant)
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
        where = f"--set {shortened(text)}"
        if not equals:
            raise UserError(f"{where}: write KEY=VALUE, for example --set search.trials=8.")
        table, dot, name = path.strip().partition(".")
        if not dot:
            table, name = "space", table
        if table not in known:
            raise unknown("table", table, known, where)
        if name not in known[table]:
            elsewhere = [f"{t}.{name}" for t in known if not dot and name in known[t]]
            possible = elsewhere or (
                [f"{table}.{n}" for n in known[table]] if dot else known[table]
            )
            raise unknown("key", path.strip(), possible, where)
        tables.setdefault(table, {})[name] = _parse_value(value.strip(), known[table][name].domain)
    return tables


def _parse_value(text: str, domain: Domain) -> Value:
    """TOML where it is TOML, else the text itself (so that paths and words need no quotes)."""
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # also of a number with too many digits
        return text
    if len(document) > 1:  # More lines, with more keys.
        return text
    value = document["value"]
    # A folder may be called 2024 or true.
    return text if isinstance(domain, Text) and not isinstance(value, str) else value


def _find(study: str | Path) -> Path:
    file, told = Path(study), shortened(str(study))
    try:
        if file.is_file():
            return file
        named = STUDIES / f"{study}.toml"
        if named.is_file():
            return named
        if file.is_dir():
            inside = file / "study.toml"
            what = f"its {inside.name}" if inside.is_file() else "a TOML file"
            raise UserError(f"{told} is a folder, not a study file; name {what}.")
    except OSError as error:
        raise UserError(f"Cannot read {told}: {error.strerror}.") from None
    names = sorted(path.stem for path in STUDIES.glob("*.toml"))
    raise UserError(f"There is no study file {told}; name a TOML file, or one of {names}.")


def _read(file: Path) -> dict[str, Any]:
    """A TOML document. Editors on Windows begin one with a byte order mark, which TOML has not."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"Cannot read {file}: {error.strerror}.") from None
    except tomllib.TOMLDecodeError as error:
        why = shortened(str(error))
    except UnicodeDecodeError as error:
        why = f"byte {error.start + 1} is not UTF-8 text"
    except RecursionError:
        why = "something in it is nested too deeply"
    except ValueError:
        why = f"an integer in it has more than {sys.get_int_max_str_digits()} digits"
    raise UserError(f"{file} is not a TOML file: {why}.")


def _resolve_paths(document: Mapping[str, Any], folder: Path) -> None:
    """Make relative folders absolute; a hub id and what is packaged are left alone."""
    for table, name, packaged in (("data", "path", EMBEDDED), ("encoder", "name", MINILM)):
        settings = document.get(table)
        value = settings.get(name) if isinstance(settings, dict) else None
        if not isinstance(settings, dict) or not isinstance(value, str):
            continue
        if value == packaged or not is_text(value):
            continue
        path = _absolute(value, folder, f"{table}.{name}")
        if table == "data" or _is_dir(path):
            settings[name] = str(path)
    search = document.get("search")
    earlier = search.get("start_from") if isinstance(search, dict) else None
    # What is no list of texts is refused by parse_study.
    if isinstance(search, dict) and isinstance(earlier, list) and all(map(is_text, earlier)):
        where = "search.start_from"
        search["start_from"] = [str(_absolute(value, folder, where)) for value in earlier]


def _absolute(value: str, folder: Path, where: str) -> Path:
    try:
        path = folder / Path(value).expanduser()
    except RuntimeError:  # ~NAME of no user
        raise UserError(f"{where}: there is no home folder for {shortened(value)}.") from None
    try:
        return path.resolve()
    except RuntimeError:
        raise UserError(f"{where}: {shortened(value)} is a link that leads to itself.") from None


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long, or a folder that may not be entered
        return False


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
