"""Tries inputs that are not what they should be, for minutes.

    python -m tests.fuzz --seconds 300 --seed 1 [--only KIND]
    python -m tests.fuzz --again FOLDER

Prints how many inputs of each kind were tried and what came of them. Each finding is kept with its
input in a folder that --again tries once more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.fuzz.process import tried_inputs

OUTCOMES = ("done", "refused", "failed", "finding")
KIND_NAMES = ("study", "set", "data", "encoder", "journal")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 1 where there was a finding."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long, over all kinds")
    parser.add_argument("--seed", type=int, default=0, help="other inputs by another one")
    parser.add_argument("--only", action="append", choices=KIND_NAMES, help="may be repeated")
    parser.add_argument("--into", type=Path, default=Path("fuzz-findings"), help="for findings")
    parser.add_argument("--again", type=Path, help="an input that was kept")
    given = parser.parse_args(arguments)
    with _surroundings():
        if given.again is not None:
            return _again(given.again)
        return _try_all(given.only or KIND_NAMES, given.seed, given.seconds, given.into)


def _try_all(kinds: Sequence[str], seed: int, seconds: float, into: Path) -> int:
    tried: Counter[tuple[str, str]] = Counter()
    for kind in kinds:
        until = time.monotonic() + seconds / len(kinds)
        for number, outcome, faults, folder in tried_inputs(kind, seed, until):
            tried[kind, outcome] += 1
            if faults:
                kept = into / f"{kind}-{seed}-{number}"
                _keep(folder, kept, faults)
                print(f"{kept}: {'; '.join(faults)}"[:400], flush=True)
    print(_table(kinds, tried))
    return int(any(outcome == "finding" for _, outcome in tried))


def _again(kept: Path) -> int:
    """In this process, on a copy: trying an input may change it."""
    from tests.fuzz.kinds import attempt

    folder = kept if kept.is_dir() else kept.parent
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "input"
        shutil.copytree(folder / "input", copy, symlinks=True)
        result = attempt(copy)
    print(result.outcome)
    for said in (*result.faults, *result.said):
        print(f"  {said}")
    return int(result.outcome == "finding")


def _table(kinds: Sequence[str], tried: Counter[tuple[str, str]]) -> str:
    rows = [("kind", "inputs", *OUTCOMES)]
    for kind in kinds:
        counts = [tried[kind, outcome] for outcome in OUTCOMES]
        rows.append((kind, str(sum(counts)), *map(str, counts)))
    return "\n".join("".join(f"{cell:>10}" for cell in row) for row in rows)


def _keep(folder: Path, kept: Path, faults: Sequence[str]) -> None:
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    (kept / "faults.txt").write_text("".join(f"{fault}\n" for fault in faults), encoding="utf-8")
    if folder.exists():
        shutil.move(folder, kept / "input")


@contextmanager
def _surroundings() -> Iterator[None]:
    """No network, no cache but an own one, one thread; for this process and those it starts."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="ablatune-fuzz-cache-") as cache:
        os.environ.update(
            HF_HUB_OFFLINE="1",
            TRANSFORMERS_OFFLINE="1",
            HF_HUB_DISABLE_PROGRESS_BARS="1",
            TQDM_DISABLE="1",
            TOKENIZERS_PARALLELISM="false",
            OMP_NUM_THREADS="1",
            ABLATUNE_CACHE=cache,
        )
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


if __name__ == "__main__":
    sys.exit(main())
