"""A trial's own folder: its configuration, its metrics line by line, its log, its checkpoint."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from model.checkpoint import LAST, mend_checkpoint
from model.trial import Metrics
from model.whole_lines import append_whole
from spaces import Config


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
            _replace(self.setting_file, tomli_w.dumps(setting))
        values = {n: list(v) if isinstance(v, tuple) else v for n, v in config.values().items()}
        _replace(self.path / "config.toml", tomli_w.dumps(values))

    @property
    def is_begun(self) -> bool:
        """Whether its configuration is there."""
        return (self.path / "config.toml").exists()

    @property
    def is_open(self) -> bool:
        """Whether there is something to go on from."""
        return (self.checkpoint / LAST).exists()

    def mend(self) -> str | None:
        """Put right what a process that was killed, or a machine that went down, left here; only
        before the trial runs. A sentence on what was lost, None where that is nothing."""
        for unfinished in self.path.glob("*.unfinished"):
            unfinished.unlink()
        return mend_checkpoint(self.checkpoint)

    def config(self) -> Config:
        file = self.path / "config.toml"
        return Config.of(tomllib.loads(file.read_text(encoding="utf-8")), str(file))

    def setting(self) -> dict[str, Any]:
        """What `start` was given beside the configuration; empty where that was nothing."""
        file = self.setting_file
        return tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def record(self, epoch: float, metrics: Metrics) -> None:
        """One line for one report, in the file whatever becomes of the process when this has
        returned. What an interrupted trial had measured from this epoch on is replaced."""
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        line = json.dumps({"epoch": epoch, **finite}) + "\n"
        stored = self._stored()
        kept = "".join(row for row in _whole(stored) if json.loads(row)["epoch"] < epoch)
        if kept != stored:
            _replace(self.metrics, kept + line)
            return
        with self.metrics.open("ab", buffering=0) as file:
            append_whole(file, line.encode())

    def read(self) -> list[dict[str, Any]]:
        """The epochs that were measured, in order."""
        return [json.loads(row) for row in _whole(self._stored())]

    def _stored(self) -> str:
        return self.metrics.read_text(encoding="utf-8") if self.metrics.exists() else ""


def _whole(lines: str) -> list[str]:
    """The lines without a torn one at the end, which a process that was killed may have left."""
    return lines[: lines.rfind("\n") + 1].splitlines(keepends=True)


def _replace(file: Path, text: str) -> None:
    """Written beside and renamed, so that no reader ever sees a part of it."""
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(file)
