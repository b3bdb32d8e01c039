"""Corpora on disk under the hash of all that decides them, so that each is tokenised once.

The cache is a help and no need: where it cannot be written, or an entry is damaged, the corpus is
made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

import numpy as np
import tokenizers
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from model.data.corpus import Corpus, Split
from model.data.examples import SkippedRow
from model.storage.cache import cache_folder, drop_oldest
from model.storage.code_hash import code_hash
from model.storage.whole_files import write_whole

KEPT = 10
"""How many entries stay, the last used ones."""

_SKIPPED = "skipped"


def cache_key(parts: Iterable[bytes]) -> str:
    """The hash of what a corpus is made of and of the code that makes it, so that neither an
    edited file nor another version finds what was made before."""
    digest = hashlib.sha256()
    for part in (*parts, tokenizers.__version__.encode(), code_hash().encode()):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def read_cache(key: str) -> tuple[Corpus, tuple[SkippedRow, ...]] | None:
    """The corpus of a key, with the rows that are not in it; None where there is none."""
    try:
        file = _file(key)
        with safe_open(file, framework="numpy") as stored:
            names = stored.keys()
            arrays = {name: stored.get_tensor(name) for name in names}
            rows = json.loads(stored.metadata()[_SKIPPED])
        with suppress(OSError):  # A cache that one may only read is one too.
            os.utime(file)
        return _corpus(arrays), tuple(SkippedRow(*row) for row in rows)
    except (OSError, RuntimeError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def write_cache(key: str, corpus: Corpus, skipped: Iterable[SkippedRow]) -> None:
    """Keep a corpus. It is flushed to the disk, for zeros that a machine left that went down would
    be read as tokens."""
    rows = json.dumps([astuple(row) for row in skipped])
    content = save(_arrays(corpus), metadata={_SKIPPED: rows})
    with suppress(OSError, RuntimeError):
        file = _file(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, content)
        drop_oldest(file.parent, KEPT)


def _file(key: str) -> Path:
    return cache_folder("corpus") / f"{key}.safetensors"


def _arrays(corpus: Corpus) -> dict[str, np.ndarray]:
    arrays = {
        "tokens": corpus.tokens,
        "offsets": corpus.offsets,
        "separators": np.array(corpus.separators),
    }
    for task, by_split in corpus.splits.items():
        for name, split in by_split.items():
            for column, values in vars(split).items():
                if values is not None:
                    arrays[f"{task}/{name}/{column}"] = values
    return arrays


def _corpus(arrays: dict[str, np.ndarray]) -> Corpus:
    tokens, offsets, separators = (arrays.pop(n) for n in ("tokens", "offsets", "separators"))
    columns: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for key, values in arrays.items():
        task, name, column = key.split("/")
        columns.setdefault((task, name), {})[column] = values
    splits: dict[str, dict[str, Split]] = {}
    for (task, name), found in columns.items():
        second = found.get("second")
        splits.setdefault(task, {})[name] = Split(
            found["first"], second, found["labels"], found["jaccard"]
        )
    return Corpus(tokens, offsets, splits, int(separators))
