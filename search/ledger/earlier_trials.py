"""Trials of earlier studies that a new one starts from: shown to its sampler, and counted nowhere.

An earlier trial fits where it could be a trial of this study and means the same there: the same
encoder, data and precision, by content and not by where they lie, the same objective, and a
configuration of this space. That is: each factor that has an
effect has one here too, with the value that is fixed here (the epochs and the seed among them) or
one from the domain here. A completed trial enters with its last score, a stopped one as stopped,
with what it had measured; failed and unfinished ones do not enter.

What fits is written into the study's folder when it begins, so that the study goes on in the same
way whatever becomes of the earlier ones.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from model import Setting, write_whole
from search.text.words import counted
from search.trials.distributions import distributions, encode
from search.trials.epochs import Clock
from search.trials.record import Record
from search.trials.study_folder import StudyFolder
from spaces import EMBEDDED, Space, StudyFile, UserError, Value, toml_text

_STATES = {"completed": TrialState.COMPLETE, "stopped": TrialState.PRUNED}


@dataclass(frozen=True)
class EarlierTrial:
    """`origin` is its folder; `values` are this study's free factors; `scores` by epoch."""

    origin: str
    state: str
    values: Mapping[str, Value]
    scores: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Earlier:
    """The trials that fit, the oldest first, and how many did not, by reason."""

    fitting: Sequence[EarlierTrial] = ()
    others: Mapping[str, int] | None = None

    @classmethod
    def of(cls, study: StudyFile, folder: StudyFolder) -> Earlier:
        """What a study starts from: as its folder has it, or, of a new one, found and written
        there. The earlier studies may have been moved since, and may have grown.

        Raises:
            UserError: if a folder to start from holds no study, what was written cannot be read, or
                what the study started from is not in the folders that are named now.
        """
        if not (names := study.search.start_from):
            return cls()
        if folder.earlier.exists():
            before, taken = cls._taken(folder.earlier, study.space)
            if {*before} <= {*names}:
                return taken
            if folder.is_binding:
                if not taken.is_in(find_earlier(study, folder.setting())):
                    raise UserError(
                        f"The study in {folder.path} started from the trials of "
                        f"{', '.join(before)}, which are not in {', '.join(names)}, as "
                        "search.start_from says now. Name another folder with --dir."
                    )
                return taken
        found = find_earlier(study, folder.setting())
        content = {"from": list(names), **asdict(found)}
        write_whole(folder.earlier, json.dumps(content, indent=1))
        return found

    def is_in(self, other: Earlier) -> bool:
        """Whether another has all of these trials, wherever they lie."""
        there = [(trial.state, trial.values, list(trial.scores)) for trial in other.fitting]
        return all((t.state, t.values, list(t.scores)) in there for t in self.fitting)

    @classmethod
    def _taken(cls, file: Path, space: Space) -> tuple[list[str], Earlier]:
        """What was found when the study began, and in which folders."""
        try:
            stored = json.loads(file.read_text(encoding="utf-8"))
            taken = cls._read(stored, space)
            origins = {trial.origin.rpartition("/")[0] for trial in taken.fitting}
            return [str(name) for name in stored.get("from", sorted(origins))], taken
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(
                f"{file} cannot be understood ({type(error).__name__}: {error}): restore it, or "
                "remove it to have the trials that search.start_from names looked for anew."
            ) from None

    @classmethod
    def _read(cls, stored: Mapping[str, Any], space: Space) -> Earlier:
        fitting = []
        for trial in stored["fitting"]:
            values = {name: space.free[name].accept(v) for name, v in trial["values"].items()}
            scores = [(float(epoch), float(score)) for epoch, score in trial["scores"]]
            if trial["state"] not in _STATES or not scores:
                raise ValueError(f"{trial['state']} with {len(scores)} scores")
            fitting.append(EarlierTrial(trial["origin"], trial["state"], values, scores))
        return cls(fitting, {str(why): int(n) for why, n in (stored["others"] or {}).items()})

    def best(self) -> Iterator[Mapping[str, Value]]:
        """The configuration of the best trial that completed, if any did."""
        completed = [trial for trial in self.fitting if trial.state == "completed"]
        if completed:
            yield max(completed, key=lambda trial: trial.scores[-1][1]).values

    def trials(self, space: Space, clock: Clock) -> Iterator[FrozenTrial]:
        """As Optuna's trials, numbered so that the latest is -1. Values measured between two steps
        of the clock are left out."""
        for number, trial in enumerate(self.fitting, start=-len(self.fitting)):
            scores = {clock.step(e): s for e, s in trial.scores if clock.epoch(clock.step(e)) == e}
            kinds: dict[str, BaseDistribution] = {}
            for name in trial.values:
                kinds |= distributions(name, space.free[name])
            then = datetime.fromtimestamp(0, UTC)
            yield FrozenTrial(
                number=number,
                trial_id=number,
                state=_STATES[trial.state],
                value=trial.scores[-1][1] if trial.state == "completed" else None,
                datetime_start=then,
                datetime_complete=then,
                params=encode(space, trial.values),
                distributions=kinds,
                user_attrs={},
                system_attrs={},
                intermediate_values=scores,
            )

    def describe(self) -> str:
        """One sentence on how many fit, and why the others do not."""
        others = self.others or {}
        total = len(self.fitting) + sum(others.values())
        all_of_them = f"{counted(total, 'trial')} of earlier studies"
        text = f"{len(self.fitting)} of {all_of_them} inform the sampler"
        why = "; ".join(f"{count} do not fit: {reason}" for reason, count in others.items())
        best = next(self.best(), None)
        tried = ", and the best of them is tried again early" if best is not None else ""
        return f"{text}{tried}{f' ({why})' if why else ''}."


def find_earlier(study: StudyFile, setting: Setting | None = None) -> Earlier:
    """The trials of the studies that `search.start_from` names, the first study's first; `setting`
    is what this study was begun with, where that is known."""
    fitting: list[EarlierTrial] = []
    others: Counter[str] = Counter()
    for name in study.search.start_from or ():
        folder = StudyFolder(Path(name))
        if not folder.file.exists():
            raise UserError(
                f"search.start_from: {name} is no study's folder: it has no {folder.file.name}."
            )
        earlier = folder.study()
        records = folder.records(earlier.space) if folder.journal.exists() else []
        reason = _why_no_study(earlier, study, folder.setting(), setting)
        for record in records:
            why = reason or _why_no_trial(record, earlier.space, study.space)
            if why:
                others[why] += 1
                continue
            active = earlier.space.config(record.values).active()
            values = {n: active[n] for n in study.space.free if n in active}
            scores = sorted(record.scores.items())
            fitting.append(EarlierTrial(f"{name}/{record.id}", record.state, values, scores))
    return Earlier(fitting, dict(others))


def _why_no_study(
    earlier: StudyFile, study: StudyFile, there: Setting | None, here: Setting | None
) -> str | None:
    """Why no trial of an earlier study fits, in words; None where they may. Where it is not known
    what either was begun with, names have to do."""
    known = there is not None and here is not None
    reason = _why_not_by_content(there, here) if there and here else None
    if not known and earlier.encoder != study.encoder:
        return f"another encoder, {earlier.encoder.name}"
    made = EMBEDDED in (study.data.path, earlier.data.path)
    if (made and earlier.data != study.data) or (
        not known and earlier.data.path != study.data.path
    ):
        return f"other data, {earlier.data.path}"
    if reason is None and earlier.search.objective != study.search.objective:
        return f"another objective, {earlier.search.objective}"
    return reason


def _why_not_by_content(there: Setting, here: Setting) -> str | None:
    if changes := there.changes_of_encoder(here):
        return f"another encoder, {there.encoder_name}: {'; '.join(changes)} since"
    if changes := there.changes_of_data(here):
        return f"other data, {there.data_path}: {'; '.join(changes)} since"
    if there.precision != here.precision:
        return f"another precision, {there.precision}"
    return None


def _why_no_trial(record: Record, there: Space, here: Space) -> str | None:
    """Why a trial of an earlier study does not fit, in words; None where it does."""
    if record.state not in _STATES:
        return record.state
    if not record.scores:
        return "without a score"
    active = there.config(record.values).active()
    point = {name: active[name] for name in here.free if name in active}
    for name, value in point.items():
        try:
            here.free[name].accept(value)
        except ValueError:
            return f"{name} out of its domain here"
    ours = here.config(point).active()
    for name, value in active.items():
        if name in ours and ours[name] != value:
            return f"{name} = {toml_text(value)} there"
    return None if active.keys() == ours.keys() else "other factors in effect there"
