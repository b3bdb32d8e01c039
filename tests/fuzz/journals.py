"""Folders of stored studies that are not what they should be.

What was measured and can still be read is still shown, or it is told that it is not; and a search
that goes on there, or refuses to, leaves everything as readable as it found it.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path
from random import Random
from typing import Any

import tomli_w

from model import Setting, load_material
from search.ledger.ledger import Ledger
from search.trials.record import Record
from search.trials.study_folder import StudyFolder
from spaces import StudyFile, load_study
from tests.fuzz import materials, places, rule
from tests.fuzz.mutations import change_json_line, change_json_value, mutated

_STORED = Path(__file__).parents[1]
_DELETED, _CREATED, _SCORE = 1, 4, 7  # Optuna's operations
_HEAVY = (".safetensors", ".pt", ".npz")

Shown = dict[str, dict[float, float]]
"""Each trial's scores by epoch."""


def make(folder: Path, chance: Random) -> list[str]:
    sound = chance.choice(_sound_folders())
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(sound, folder / "study")
    shutil.copy(sound / "optuna.journal", folder / "journal.before")
    done = []
    for _ in range(chance.choice([1, 1, 1, 2])):
        file = chance.choice(_files(folder / "study"))
        if chance.random() < 0.06:
            done += places.displaced(file, chance)
            continue
        own = [change_json_value] if file.suffix == ".json" else [change_json_line]
        content, what = mutated(file.read_bytes(), chance, [] if file.suffix == ".toml" else own)
        materials.rewrite(file, content)
        done += [f"{file.name}: {', '.join(what)}"]
    return done


def run(folder: Path) -> list[rule.Ending]:
    where = folder / "study"
    before = _contents(where)
    endings = [rule.verb("status", where), rule.verb("status", where, "--json")]
    if _contents(where) != before:
        endings.append(rule.Ending(0, fault="status changes files"))
    if endings[0].code == 0:
        endings += _complaints(_untold(folder, endings[0].err))
    elif _is_sound(folder):
        endings.append(rule.Ending(0, fault=f"status refuses: {endings[0].err[-300:]}"))
    if endings[0].code != 0:
        return endings
    return [*endings, *_go_on(StudyFolder(where)), rule.verb("report", where)]


def _go_on(folder: StudyFolder) -> list[rule.Ending]:
    """Open the study as a search does, let a trial measure something, and open it again."""
    found: list[Shown] = []
    before = _read(folder)
    opened = rule.call(lambda: found.append(_measure(folder)))
    if opened.code != 0:
        fewer = _lacking(before, _read(folder))
        return [opened, *_complaints(fewer and f"a search that is refused loses {fewer}")]
    shown: list[Shown] = []
    again: list[Shown] = []
    endings = [
        opened,
        rule.call(lambda: shown.append(_shown(folder.records(folder.study().space)))),
        rule.call(lambda: again.append(_opened(folder))),
        rule.verb("status", folder.path),
    ]
    if shown and (lacking := _lacking(found[0], shown[0])):
        endings.append(rule.Ending(0, fault=f"what was measured is not shown: {lacking}"))
    if again and (lacking := _lacking(found[0], again[0])):
        endings.append(rule.Ending(0, fault=f"a second opening does not know: {lacking}"))
    for line in folder.journal.read_bytes().rstrip(b"\n").split(b"\n"):
        try:
            json.loads(line)
        except (ValueError, RecursionError):
            return [
                *endings,
                rule.Ending(0, fault=f"written behind what is no line: {line[:80]!r}"),
            ]
    return endings


def _measure(folder: StudyFolder) -> Shown:
    with folder.locked():
        study = folder.study()
        folder.check(study)
        ledger = Ledger(study, folder)
        record = ledger.next()
        if record is not None:
            folder.trial(record.id).path.mkdir(parents=True, exist_ok=True)
            ledger.start(record.id)
            epoch = float(int(record.epoch) + 1)
            ledger.report(record.id, epoch, 0.25)
            ledger.end(record.id)
        return _shown(ledger.records.values())


def _read(folder: StudyFolder) -> Shown:
    """What a reader sees; nothing where that cannot be told."""
    found: list[Shown] = []
    rule.call(lambda: found.append(_shown(folder.records(folder.study().space))))
    return found[0] if found else {}


def _opened(folder: StudyFolder) -> Shown:
    with folder.locked():
        return _shown(Ledger(folder.study(), folder).records.values())


def _shown(records: Any) -> Shown:
    return {record.id: dict(record.scores) for record in records if isinstance(record, Record)}


def _lacking(known: Shown, there: Shown) -> str | None:
    for trial, scores in known.items():
        if trial not in there:
            return f"trial {trial}"
        for epoch, score in scores.items():
            if there[trial].get(epoch) != score and score == score:
                return f"trial {trial}, epoch {epoch:g}: {score}, but {there[trial].get(epoch)}"
    return None


def _untold(folder: Path, told: str) -> str | None:
    """What the journal still holds and status does not show: all lines before the first change
    always, and those behind it unless something is said."""
    study = StudyFolder(folder / "study")
    if not study.journal.is_file():
        return None
    there = _read(study)
    lines = (folder / "journal.before").read_bytes().split(b"\n")
    now = study.journal.read_bytes().split(b"\n")
    if any(_operation(line) == _DELETED for line in now):
        return None  # It says that all before it is to be forgotten.
    same = [a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(lines, now, strict=False))]
    for trial, steps in _told_by(same).items():
        if len(there.get(f"{trial:04d}", {})) < len(steps):
            return f"trial {trial} shows {there.get(f'{trial:04d}')}, the journal has {steps}"
    kept = {*now}
    intact = _told_by([line for line in lines if line in kept])
    many, shown = sum(map(len, intact.values())), sum(map(len, there.values()))
    if shown < many and not told.strip():
        return f"{many - shown} of {many} scores are not shown, and nothing says so"
    return None


def _operation(line: bytes) -> object:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row.get("op_code") if isinstance(row, dict) else None


def _told_by(lines: Sequence[bytes]) -> dict[int, set[int]]:
    """The steps at which trials measured something, by the lines of a journal."""
    created = 0
    found: dict[int, set[int]] = {}
    for line in filter(None, lines):
        row = json.loads(line)
        if row["op_code"] == _CREATED:
            created += 1
        elif row["op_code"] == _SCORE and row["trial_id"] < created:
            found.setdefault(row["trial_id"], set()).add(row["step"])
    return found


def _is_sound(folder: Path) -> bool:
    """Whether nothing but the content of what a search measured was changed."""
    study = StudyFolder(folder / "study")
    try:
        study.study()
        study.journal.read_bytes()
    except Exception:
        return False
    return True


def _complaints(fault: str | None) -> list[rule.Ending]:
    return [rule.Ending(0, fault=fault)] if fault else []


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in materials.files_below(folder)}


def _files(study: Path) -> list[Path]:
    """The files that may be changed, the journal as often as all others."""
    names = ("study.toml", "spent.json", "setting.toml", "earlier.json")
    others = [study / name for name in names] + [
        *study.glob("trials/*/metrics.jsonl"),
        *study.glob("trials/*/config.toml"),
    ]
    there = [file for file in others if file.is_file()]
    journal = study / "optuna.journal"
    return [*there, *([journal] * max(1, len(there)) if journal.is_file() else [])] or [study]


@cache
def _sound_folders() -> list[Path]:
    made = [_searched("asha"), _searched("promotion")]
    for archive in sorted(_STORED.rglob("*.tar.xz")):
        folder = materials.workshop() / archive.name.partition(".")[0]
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        found = sorted(folder.rglob("optuna.journal"))
        made += [journal.parent for journal in found]
    for folder in made:
        for file in [*materials.files_below(folder)]:
            if file.suffix in _HEAVY or ".tfevents." in file.name:
                file.unlink()
    return made


def _searched(scheduler: str) -> Path:
    """A search of which a few trials ended in every way, as a killed one leaves it."""
    folder = StudyFolder(materials.workshop() / f"searched-{scheduler}")
    folder.trials.mkdir(parents=True)
    text = materials.STUDY.replace("[search]", f'[search]\nscheduler = "{scheduler}"')
    folder.file.write_text(text.replace("trials = 6", "trials = 9"), encoding="utf-8")
    study: StudyFile = folder.study()
    folder.setting_file.write_text(tomli_w.dumps(_setting().table()), encoding="utf-8")
    with folder.locked():
        ledger = Ledger(study, folder)
        for number, scores in enumerate(
            ([0.3, 0.4, 0.5], [0.35, 0.45, 0.55], [0.2], [0.1], [0.5, 0.6], [0.4, 0.41, 0.42])
        ):
            record = ledger.next()
            if record is None:
                break
            trial = folder.trial(record.id)
            trial.start(study.space.config(record.values))
            ledger.start(record.id)
            for epoch, score in enumerate(scores, start=int(record.epoch) + 1):
                if epoch > study.epochs:
                    break
                named = {f"score/{name}": score for name in ("mean", "sst", "para", "sts")}
                trial.record(epoch, {**named, "seconds": 1.0, "examples_per_second": 99.0})
                if not ledger.report(record.id, epoch, score):
                    break
            if number == 4:
                continue  # still running when the search was killed
            ledger.end(record.id, "its worker process is gone" if number == 3 else None)
        ledger.meter.write()
    return folder.path


@cache
def _setting() -> Setting:
    """What a search of the usual study would write down of its data and encoder."""
    study = load_study(materials.write_study(materials.workshop() / "for-its-setting"))
    return Setting.of(study, load_material(study), "fp32")
