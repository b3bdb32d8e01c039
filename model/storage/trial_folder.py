"""A trial's own folder: its configuration, its metrics line by line, its log, its checkpoint."""

from __future__ import annotations

import errno
import json
import logging
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from model.storage.checkpoint import LAST, mend_checkpoint
from model.storage.whole_files import append_whole, drop_unfinished, write_whole
from spaces import Config, UserError

Metrics = Mapping[str, float]


_log = logging.getLogger("ablatune")


@dataclass(frozen=True)
class TrialFolder:
    """`config.toml`, `metrics.jsonl`, `log.txt` and `checkpoint/` of one trial."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def setting_file(self) -> Path:
        """Of a trial outside a study: what decides its numbers beside its configuration."""
        return self.path / "setting.toml"

    def start(self, config: Config, setting: Mapping[str, Any] | None = None) -> None:
        """Create the folder and write the configuration, which the trial's other processes may be
        reading, and, for a trial outside a study, what else decides its numbers."""
        self.path.mkdir(parents=True, exist_ok=True)
        if setting is not None:
            write_whole(self.setting_file, tomli_w.dumps(setting))
        values = {n: list(v) if isinstance(v, tuple) else v for n, v in config.values().items()}
        write_whole(self.path / "config.toml", tomli_w.dumps(values))

    @property
    def is_begun(self) -> bool:
        """Whether its configuration is there."""
        return (self.path / "config.toml").exists()

    @property
    def is_open(self) -> bool:
        """Whether there is something to go on from."""
        return (self.checkpoint / LAST).exists()

    def mend(self) -> str | None:
        """Put right what a process that was killed, a machine that went down, or a hand from
        outside left here; only before the trial runs. A sentence on what was lost, None where that
        is nothing."""
        drop_unfinished(self.path)
        lost = [self._mend_metrics(), mend_checkpoint(self.checkpoint)]
        return "; ".join(sentence for sentence in lost if sentence) or None

    def _mend_metrics(self) -> str | None:
        rows, damaged = _read(self._stored())
        if not damaged:
            return None
        copy = self.metrics.with_suffix(".damaged")
        write_whole(copy, self.metrics.read_bytes())
        write_whole(self.metrics, "".join(json.dumps(row) + "\n" for row in rows))
        return f"{_damage_of(self.metrics, damaged)} (the file as it was: {copy})"

    def config(self) -> Config:
        file = self.path / "config.toml"
        return Config.of(tomllib.loads(file.read_text(encoding="utf-8")), str(file))

    def setting(self) -> dict[str, Any]:
        """The settings that `start` was given beside the configuration; empty where there were
        none."""
        file = self.setting_file
        return tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def record(self, epoch: float, metrics: Metrics) -> None:
        """Write one line for one report, which is in the file whatever becomes of the process once
        this has returned. What an interrupted trial had measured from this epoch on is replaced."""
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        line = json.dumps({"epoch": epoch, **finite}) + "\n"
        stored = self._stored()
        kept = "".join(json.dumps(row) + "\n" for row in _read(stored)[0] if row["epoch"] < epoch)
        if kept != stored:
            write_whole(self.metrics, kept + line)
            return
        with self.metrics.open("ab", buffering=0) as file:
            append_whole(file, line.encode())

    def read(self) -> list[dict[str, Any]]:
        """The epochs that were measured, in order; a line that cannot be read is left out, and told
        in the log."""
        rows, damaged = _read(self._stored())
        if damaged:
            _log.warning("%s", _damage_of(self.metrics, damaged))
        return rows

    def _stored(self) -> str:
        try:
            content = self.metrics.read_bytes()
        except FileNotFoundError:
            content = b""
        except OSError as error:
            if error.errno not in (errno.EISDIR, errno.ENOTDIR, errno.ELOOP):
                raise  # The disk is at fault, or the rights on it.
            raise UserError(f"Cannot read {self.metrics}: {error.strerror}.") from None
        return content.decode("utf-8", errors="replace")


def _read(lines: str) -> tuple[list[dict[str, Any]], list[int]]:
    """The rows by epoch, of one that is there twice the latest, and the numbers of the lines that
    are none. What has no end a process that was killed has left."""
    rows: dict[float, dict[str, Any]] = {}
    damaged = []
    for number, line in enumerate(lines.split("\n")[:-1], start=1):
        row = _row(line)
        if row is not None:
            rows[row["epoch"]] = row
        elif line.strip():
            damaged.append(number)
    return [rows[epoch] for epoch in sorted(rows)], damaged


def _row(line: str) -> dict[str, Any] | None:
    """What a line says, None where it is none of ours: numbers by name, one of them the epoch."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_ours = isinstance(row, dict) and all(map(_is_number, row.values()))
    return row if is_ours and row.get("epoch", 0) > 0 else None


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)


def _damage_of(file: Path, damaged: list[int]) -> str:
    return f"its {file}, line(s) {', '.join(map(str, damaged))} cannot be read and are left out"
