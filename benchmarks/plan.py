"""What `ablatune plan` predicts beside what the searches then take.

    python -m benchmarks.plan [--quick] [--data FOLDER] [--studies NAME ...]

Three small studies that differ in what makes a prediction hard: the quickstart, where trials are
stopped early; frozen encoders among trained ones and SMART among plain, a grid; and every trial to
its end. Each is planned, and then searched by the installed program, as a user does it, with a new
cache, so that nothing is embedded yet. `--quick` cuts them to about a minute each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import tomli_w

from benchmarks.common.machine import machine
from benchmarks.common.material import data_kind
from spaces import EMBEDDED, load_study

_EPOCH = {"samples_per_epoch": 384, "epochs": 4}
_QUICK = {"samples_per_epoch": 128, "epochs": 3}


def studies(data: str, quick: bool) -> dict[str, dict[str, dict[str, Any]]]:
    """The studies' tables by name."""
    size = _QUICK if quick else _EPOCH
    quickstart = load_study("quickstart").tables()
    stopped = {
        "space": {**quickstart["space"], **size},
        "search": {"trials": 6 if quick else 12},
    }
    mixed = {
        "space": {
            **size,
            "trainable_layers": ["all", "none"],
            "smart": [False, True],
            "pooling": ["mean"] if quick else ["mean", "cls"],
        },
        "search": {"sampler": "grid", "scheduler": "none"},
    }
    whole = {
        "space": {**size, "batch_size": [8, 32], "trainable_layers": ["all", 2]},
        "search": {"sampler": "random", "scheduler": "none", "trials": 4 if quick else 8},
    }
    named = {"stopped early": stopped, "frozen and SMART": mixed, "to the end": whole}
    # The study files lie in a folder of their own.
    path = data if data == EMBEDDED else str(Path(data).resolve())
    return {name: {"data": {"path": path}, **tables} for name, tables in named.items()}


def predicted(file: Path, environment: dict[str, str]) -> dict[str, Any]:
    """What the program plans, and the seconds that took."""
    started = time.monotonic()
    document = json.loads(_ablatune(["plan", str(file), "--json"], environment))
    found: dict[str, Any] = document["prediction"]
    return {**found, "planning": time.monotonic() - started}


def searched(file: Path, folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """How many seconds the program then takes to search, and how many epochs it trains."""
    started = time.monotonic()
    command = ["search", str(file), "--dir", str(folder), "--json"]
    found = json.loads(_ablatune(command, environment))
    return {"seconds": time.monotonic() - started, "epochs": found["epochs"]}


def _ablatune(arguments: list[str], environment: dict[str, str]) -> str:
    command = [sys.executable, "-m", "search.cli", *arguments]
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return ended.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="about a minute a study")
    parser.add_argument("--data", default="embedded", metavar="FOLDER")
    parser.add_argument("--studies", nargs="+", metavar="NAME", help="some of them only")
    options = parser.parse_args()
    about = machine() | {"load": os.getloadavg()[0]}
    rows = {}
    head = f"{'study':20} {'predicted':>10} {'between':>15} {'true':>8} {'off':>6} "
    print(f"{head}{'epochs':>8} {'true':>6}", flush=True)
    for name, tables in studies(options.data, options.quick).items():
        if options.studies and name not in options.studies:
            continue
        with tempfile.TemporaryDirectory(prefix="ablatune-") as scratch:
            file = Path(scratch) / "study.toml"
            file.write_text(tomli_w.dumps(tables), encoding="utf-8")
            environment = os.environ | {"ABLATUNE_CACHE": str(Path(scratch) / "cache")}
            plan = predicted(file, environment)
            truth = searched(file, Path(scratch) / "run", environment)
        off = plan["seconds"] / truth["seconds"] - 1
        rows[name] = {"plan": plan, "truth": truth, "off": off}
        between = f"{plan['low']:.0f}-{plan['high']:.0f}"
        print(
            f"{name:20} {plan['seconds']:10.0f} {between:>15} {truth['seconds']:8.0f} {off:+6.0%} "
            f"{plan['epochs']:8.1f} {truth['epochs']:6.1f}",
            flush=True,
        )
    result = {"machine": about, "data": data_kind(options.data), "quick": options.quick}
    print(json.dumps({"benchmark": "plan", **result, "studies": rows}))


if __name__ == "__main__":
    main()
