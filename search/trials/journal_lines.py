"""Which lines of a journal can be relied on, whatever happened to the file.

A journal is read as far as it is good. Lines that say nothing (empty ones, or one that begins a
trial a second time) are left out. A damaged line is left out too where all that follows still fits:
no more is lost then than the score or the end that it told, which the trial's own folder knows as
well. Where it may have told of a trial's beginning, nobody can say which trials the lines behind it
mean, and the journal ends before it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, json_to_distribution
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import TrialState

from search.trials.attributes import is_sound
from search.trials.optuna_private import Operation
from spaces import UserError

_OF_A_STUDY = (
    Operation.DELETE_STUDY,
    Operation.SET_STUDY_USER_ATTR,
    Operation.SET_STUDY_SYSTEM_ATTR,
    Operation.CREATE_TRIAL,
)
_OF_A_TRIAL = (
    Operation.SET_TRIAL_PARAM,
    Operation.SET_TRIAL_STATE_VALUES,
    Operation.SET_TRIAL_INTERMEDIATE_VALUE,
    Operation.SET_TRIAL_USER_ATTR,
    Operation.SET_TRIAL_SYSTEM_ATTR,
)
_NEEDS_THE_NEXT = (None, Operation.CREATE_TRIAL, Operation.SET_TRIAL_PARAM)
"""The operations after which a lost line may have been one that the trial cannot do without."""

Log = dict[str, Any]


@dataclass(frozen=True)
class Damage:
    """A line, from 1, that is left out, and why."""

    line: int
    why: str
    says_nothing: bool = False
    """Whether nothing can have been lost with it."""


@dataclass
class Known:
    """What lines can be about."""

    studies: set[str] = field(default_factory=set)
    trials: int = 0
    begun: set[bytes] = field(default_factory=set)
    """The lines that began a trial, which no process writes twice; but someone may have enqueued
    one and the same trial again, so that of those it is asked what follows."""
    enqueued_twice: bool = False
    ended: set[int] = field(default_factory=set)
    """The trials that have ended, of which Optuna takes no more lines."""
    last: int | None = None
    """The operation of the last line."""

    def why_not(self, log: Mapping[str, Any]) -> str | None:
        """Why a line is about nothing that is known, None where it fits."""
        operation = log["op_code"]
        if operation in _OF_A_STUDY and log["study_id"] >= len(self.studies):
            return "is of a study that no line before it begins"
        if operation in _OF_A_TRIAL and log["trial_id"] >= self.trials:
            return "is of a trial that no line before it begins"
        return None

    def note(self, log: Mapping[str, Any], line: bytes) -> None:
        self.last = log["op_code"]
        if self.last == Operation.CREATE_STUDY:
            self.studies.add(log["study_name"])
        elif self.last == Operation.SET_TRIAL_STATE_VALUES and (
            TrialState(log["state"]).is_finished()
        ):
            self.ended.add(log["trial_id"])
        elif self.last == Operation.CREATE_TRIAL:
            self.trials += 1
            if log["datetime_start"] is not None or not self.enqueued_twice:
                self.begun.add(line)


@dataclass(frozen=True)
class JournalLines:
    """What a journal holds."""

    logs: list[Log]
    """What its good lines say."""
    lines: list[bytes]
    """These lines themselves, each with its end."""
    damages: list[Damage]
    behind: int
    """Good lines that cannot be relied on, since they stand behind a damage that does not let
    them."""
    torn: bytes
    """What a process that was killed while it wrote left of its last line."""
    known: Known

    @property
    def is_whole(self) -> bool:
        return not self.damages

    @property
    def ends_early(self) -> bool:
        """Whether what was lost matters so much that no search goes on by itself."""
        return bool(self.behind or (self.lost and not self.logs))

    @property
    def lost(self) -> list[Damage]:
        """The damages with which something may have been lost."""
        return [damage for damage in self.damages if not damage.says_nothing]

    def sentence(self, file: Path) -> str:
        """What a reader is told; where there is a damage."""
        first = (self.lost or self.damages)[0]
        others = len(self.damages) - 1
        more = f", and so are {others} more line(s)" if others else ""
        what = "left out, which lost nothing" if first.says_nothing else "left out"
        if self.ends_early:
            what = f"what is read ends before it, without {self.behind} good line(s) behind it"
            return f"{file}, line {first.line} {first.why}: {what}."
        return f"{file}, line {first.line} {first.why}: it is {what}{more}."


def read_file(file: Path) -> JournalLines:
    """What a journal holds; the file is not changed.

    Raises:
        UserError: if it cannot be read at all.
    """
    try:
        return read_lines(file.read_bytes())
    except OSError as error:
        raise UserError(f"Cannot read {file}: {error.strerror}.") from None


def read_lines(content: bytes, known: Known | None = None) -> JournalLines:
    """The same of a journal's bytes; `known` is from the part before them."""
    if known is not None:
        return _read(content, known)
    found = _read(content, Known())
    if found.behind:
        as_enqueued_twice = _read(content, Known(enqueued_twice=True))
        return found if as_enqueued_twice.behind else as_enqueued_twice
    return found


def _read(content: bytes, known: Known) -> JournalLines:
    *ended, last = content.split(b"\n")
    torn = b""
    rows = [line + b"\n" for line in ended]
    if last and parsed(last)[0] is None and b'{"op_code"'.startswith(last[:10]):
        torn = last
    elif last:
        rows.append(last + b"\n")
    good: list[tuple[int, bytes, Log]] = []
    damages: list[Damage] = []
    open_damage = False  # since the last good line
    for number, line in enumerate(rows, start=1):
        log, why = parsed(line)
        if not line.strip():
            damages.append(Damage(number, "is empty", says_nothing=True))
        elif line in known.begun:
            damages.append(Damage(number, "begins a trial a second time", says_nothing=True))
        elif log is None:
            damages.append(Damage(number, why))
            open_damage = True
        elif log["op_code"] in _OF_A_TRIAL and log["trial_id"] in known.ended:
            says_nothing = log["op_code"] != Operation.SET_TRIAL_INTERMEDIATE_VALUE
            damages.append(Damage(number, "is of a trial that had ended", says_nothing))
        else:
            lost = [damage for damage in damages if not damage.says_nothing]
            misfit = known.why_not(log)
            if misfit is None and not (open_damage and known.last in _NEEDS_THE_NEXT):
                good.append((number, line, log))
                known.note(log, line)
                open_damage = False
                continue
            cut = lost[0] if lost else Damage(number, misfit or "")
            kept = [row for row in good if row[0] < cut.line]
            behind = sum(n >= cut.line and parsed(row)[0] is not None for n, row in _numbered(rows))
            before = [damage for damage in damages if damage.line < cut.line]
            return _lines(kept, [*before, cut], behind, b"", known)
    return _lines(good, damages, 0, torn, known)


def _numbered(rows: Iterable[bytes]) -> Iterable[tuple[int, bytes]]:
    return zip(count(1), rows)


def _lines(
    good: list[tuple[int, bytes, Log]],
    damages: list[Damage],
    behind: int,
    torn: bytes,
    known: Known,
) -> JournalLines:
    return JournalLines(
        [log for _, _, log in good], [line for _, line, _ in good], damages, behind, torn, known
    )


class ReadJournal(BaseJournalBackend):
    """A journal as it stands, for one who only reads it."""

    def __init__(self, found: JournalLines) -> None:
        self._found = found

    def read_logs(self, log_number_from: int) -> Iterable[Log]:
        return self._found.logs[log_number_from:]

    def append_logs(self, logs: list[Log]) -> None:
        raise PermissionError("who reads a journal does not write to it")


def parsed(line: bytes) -> tuple[Log | None, str]:
    """What a line says, None where it says nothing that Optuna wrote, and then why."""
    if not line.strip(b"\x00\r\n"):
        return None, "holds binary zeros" if b"\x00" in line else "is empty"
    try:
        log = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None, "is no JSON"
    if not isinstance(log, dict) or not _is_number(log.get("op_code"), int):
        return None, "is no operation of Optuna's"
    operation = log["op_code"]
    if operation not in _FIELDS:
        return None, f"is an operation of another version of Optuna's, number {operation}"
    try:
        is_sound = isinstance(log["worker_id"], str) and _FIELDS[operation](log)
    except (KeyError, ValueError, TypeError, AttributeError):
        is_sound = False
    return (log, "") if is_sound else (None, "does not hold what such a line of Optuna's does")


def _is_number(value: object, kind: type | tuple[type, ...] = (int, float)) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_id(value: object) -> bool:
    return isinstance(value, int) and _is_number(value) and value >= 0


def _is_time(value: object) -> bool:
    return isinstance(value, str) and bool(datetime.fromisoformat(value))


def _are_values(values: object) -> bool:
    return values is None or (isinstance(values, list) and all(map(_is_number, values)))


@cache
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)


def _is_distribution(text: str) -> bool:
    return bool(_distribution(text))


def _has_attribute(log: Log, key: str) -> bool:
    attributes = log[key]
    if not isinstance(attributes, dict) or len(attributes) != 1:
        return False
    return key == "system_attr" or all(is_sound(*item) for item in attributes.items())


def _is_value(internal: float, distribution: str) -> bool:
    """Whether a parameter can have the value, which of a choice is its place among the options."""
    kind = _distribution(distribution)
    if isinstance(kind, CategoricalDistribution):
        return internal in range(len(kind.choices))
    return math.isfinite(internal)


def _is_trial(log: Log) -> bool:
    """With all that an enqueued trial, or one that was added whole, has."""
    state = TrialState(log.get("state", TrialState.RUNNING.value))
    kinds = log.get("distributions", {})
    return (
        _is_id(log["study_id"])
        and (log["datetime_start"] is None or _is_time(log["datetime_start"]))
        and (not state.is_finished() or _is_time(log["datetime_complete"]))
        and all(map(_is_distribution, kinds.values()))
        and all(_is_number(value) for value in log.get("params", {}).values())
        and log.get("params", {}).keys() <= kinds.keys()
        and isinstance(log.get("user_attrs", {}), dict)
        and isinstance(log.get("system_attrs", {}), dict)
        and all(int(step) >= 0 for step in log.get("intermediate_values", {}))
        and _are_values(log.get("values"))
        and (log.get("value") is None or (_is_number(log["value"]) and log.get("values") is None))
    )


def _is_state(log: Log) -> bool:
    state = TrialState(log["state"])
    return (
        _is_id(log["trial_id"])
        and _are_values(log["values"])
        and (state != TrialState.RUNNING or _is_time(log["datetime_start"]))
        and (not state.is_finished() or _is_time(log["datetime_complete"]))
    )


_FIELDS: dict[int, Callable[[Log], bool]] = {
    Operation.CREATE_STUDY: lambda log: (
        isinstance(log["study_name"], str) and all(d in (0, 1, 2) for d in log["directions"])
    ),
    Operation.DELETE_STUDY: lambda log: _is_id(log["study_id"]),
    Operation.SET_STUDY_USER_ATTR: lambda log: (
        _is_id(log["study_id"]) and _has_attribute(log, "user_attr")
    ),
    Operation.SET_STUDY_SYSTEM_ATTR: lambda log: (
        _is_id(log["study_id"]) and _has_attribute(log, "system_attr")
    ),
    Operation.CREATE_TRIAL: _is_trial,
    Operation.SET_TRIAL_PARAM: lambda log: (
        _is_id(log["trial_id"])
        and isinstance(log["param_name"], str)
        and _is_number(log["param_value_internal"])
        and _is_value(log["param_value_internal"], log["distribution"])
    ),
    Operation.SET_TRIAL_STATE_VALUES: _is_state,
    Operation.SET_TRIAL_INTERMEDIATE_VALUE: lambda log: (
        _is_id(log["trial_id"])
        and _is_id(log["step"])
        and _is_number(log["intermediate_value"])
        and math.isfinite(log["intermediate_value"])  # A search reports no other score.
    ),
    Operation.SET_TRIAL_USER_ATTR: lambda log: (
        _is_id(log["trial_id"]) and _has_attribute(log, "user_attr")
    ),
    Operation.SET_TRIAL_SYSTEM_ATTR: lambda log: (
        _is_id(log["trial_id"]) and _has_attribute(log, "system_attr")
    ),
    Operation.DISCARD_TRIALS: lambda log: True,
}
"""Whether the fields of each operation are what Optuna reads there."""
