"""A trial's own folder: its configuration, its metrics line by line, its log, its checkpoint."""

from __future__ import annotations

import json
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from model.train import Metrics
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

    def start(self, config: Config, setting: Mapping[str, Any] | None = None) -> None:
        """Create the folder and write the configuration, which the trial's other processes may be
        reading, and, for a trial outside a study, what else decides its numbers."""
        self.path.mkdir(parents=True, exist_ok=True)
        if setting is not None:
            _replace(self.path / "setting.toml", tomli_w.dumps(setting))
        values = {n: list(v) if isinstance(v, tuple) else v for n, v in config.values().items()}
        _replace(self.path / "config.toml", tomli_w.dumps(values))

    def config(self) -> Config:
        file = self.path / "config.toml"
        return Config.of(tomllib.loads(file.read_text(encoding="utf-8")), str(file))

    def setting(self) -> dict[str, Any]:
        """What `start` was given beside the configuration; empty where that was nothing."""
        file = self.path / "setting.toml"
        return tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def record(self, epoch: int, metrics: Metrics) -> None:
        """One line for one epoch, on the disk when this returns. What an interrupted trial had
        measured from this epoch on is replaced."""
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        rows = [row for row in self.read() if row["epoch"] < epoch]
        rows.append({"epoch": epoch, **finite})
        _replace(self.metrics, "".join(json.dumps(row) + "\n" for row in rows))

    def read(self) -> list[dict[str, Any]]:
        """The epochs that were measured, in order."""
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


def _replace(file: Path, text: str) -> None:
    """Written beside and renamed, so that no reader and no crash ever sees a part of it."""
    unfinished = file.with_suffix(".unfinished")
    with unfinished.open("w", encoding="utf-8") as beside:
        beside.write(text)
        beside.flush()
        os.fsync(beside.fileno())
    unfinished.replace(file)
