"""A trial's own folder: its configuration, its metrics line by line, its log, its checkpoint."""

from __future__ import annotations

import json
import math
import os
import tomllib
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

    def start(self, config: Config) -> None:
        """Create the folder and write the configuration."""
        self.path.mkdir(parents=True, exist_ok=True)
        values = {n: list(v) if isinstance(v, tuple) else v for n, v in config.values().items()}
        (self.path / "config.toml").write_text(tomli_w.dumps(values), encoding="utf-8")

    def config(self) -> Config:
        file = self.path / "config.toml"
        return Config.of(tomllib.loads(file.read_text(encoding="utf-8")), str(file))

    def record(self, epoch: int, metrics: Metrics) -> None:
        """One line for one epoch, on the disk when this returns. What an interrupted trial had
        measured from this epoch on is replaced. The file is written anew and renamed: no reader
        and no crash ever sees half a line."""
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        rows = [row for row in self.read() if row["epoch"] < epoch]
        rows.append({"epoch": epoch, **finite})
        unfinished = self.metrics.with_suffix(".unfinished")
        with unfinished.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.metrics)

    def read(self) -> list[dict[str, Any]]:
        """The epochs that were measured, in order."""
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]
