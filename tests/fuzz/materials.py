"""Sound inputs, from which the unsound ones are made."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random

from model.data.examples import Example
from model.grammar.generate import generate
from tests.tiny_encoder import save_tiny_encoder

STUDY = """\
#:schema ../docs/study.schema.json
# A study that is small enough to be planned in no time.

[encoder]
name = "encoder"

[data]
path = "embedded"
train = 64
dev = 32
seed = 3

[space]
pooling = ["mean", "cls", "max"]
head = "feed-forward"
jaccard = [true, false]
encoder_learning_rate = {low = 1e-5, high = 1e-3, log = true}
warmup = {low = 0.0, high = 0.3}
loss_weighting = ["equal", "tuned"]
loss_weights = "free"
epochs = 3
samples_per_epoch = 32
batch_size = 8
max_length = 32

[search]
trials = 6
sampler = "random"
grace_epochs = 1
hours = 1.5
cost = 20

[resources]
precision = "fp32"
price = 1.5
"""


@cache
def workshop() -> Path:
    """A folder for what is made once, which goes with this process."""
    folder = Path(tempfile.mkdtemp(prefix="ablatune-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def tiny_encoder() -> Path:
    return save_tiny_encoder(workshop() / "encoder")


@cache
def examples(split: str = "train") -> dict[str, tuple[Example, ...]]:
    """Of the embedded data, by task."""
    made = generate(seed=1, train=400, dev=60).splits
    return {task: by_split[split] for task, by_split in made.items()}


def write_study(folder: Path, text: str = STUDY) -> Path:
    """A study file beside its encoder."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(tiny_encoder(), folder / "encoder")
    file = folder / "study.toml"
    file.write_text(text, encoding="utf-8")
    return file


def rewrite(file: Path, content: bytes) -> None:
    file.unlink()
    file.write_bytes(content)


def files_below(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def note(folder: Path, **what: object) -> None:
    """What `run` has to know of an input beside its files."""
    (folder / "note.json").write_text(json.dumps(what))


def noted(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "note.json").read_text())
    return found


def seeded(seed: int, kind: str, number: int) -> Random:
    """The chance that an input is made by: it alone says what the input is."""
    return Random(f"{seed} {kind} {number}")
