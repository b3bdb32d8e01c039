"""A corpus is tokenised once, and what the disk holds is never another one's."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from model.data.corpus import Corpus, build_corpus
from model.data.corpus_cache import KEPT, cache_key, read_cache, write_cache
from model.data.examples import SkippedRow
from model.grammar.generate import generate
from model.material import load_material
from model.storage.cache import CACHE_VARIABLE
from spaces import StudyFile, parse_study

COLUMNS = {
    "ids-sst": ("sentence", "sentiment"),
    "quora": ("sentence1", "sentence2", "is_duplicate"),
    "sts": ("sentence1", "sentence2", "similarity"),
}
SKIPPED = (SkippedRow("quora-train.csv", 7, "sentence2 is empty"),)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the entries, not made yet."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "corpus"


@pytest.fixture
def study(encoder_folder: Path) -> Callable[..., StudyFile]:
    def make(encoder: Path = encoder_folder, space: Any = None, **data: Any) -> StudyFile:
        settings = {"train": 32, "dev": 32, **data}
        tables = {"encoder": {"name": str(encoder)}, "data": settings, "space": space or {}}
        return parse_study(tables, "some", "some.toml")

    return make


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """Three examples a file, with invented sentences."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, columns in COLUMNS.items():
        for split in ("train", "dev"):
            texts = [f"{split} {column} %d" for column in columns[:-1]]
            rows = [
                "\t".join([*(text + " of" * i for text in texts), label]) % ((i,) * len(texts))
                for i, label in enumerate("101")
            ]
            content = "\n".join(["\t".join(columns), *rows, ""])
            (folder / f"{name}-{split}.csv").write_text(content)
    return folder


def is_same(first: Corpus, second: Corpus) -> bool:
    if first.separators != second.separators:
        return False
    pairs = [(first.tokens, second.tokens), (first.offsets, second.offsets)]
    if {t: set(s) for t, s in first.splits.items()} != {
        t: set(s) for t, s in second.splits.items()
    }:
        return False
    for task, by_split in first.splits.items():
        for name, split in by_split.items():
            other = second.splits[task][name]
            if (split.second is None) != (other.second is None):
                return False
            pairs += [(split.first, other.first), (split.sentences(), other.sentences())]
            pairs += [(split.labels, other.labels), (split.jaccard, other.jaccard)]
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


def test_what_is_read_is_what_was_written(corpus: Corpus) -> None:
    assert read_cache("some") is None
    write_cache("some", corpus, SKIPPED)
    found = read_cache("some")
    assert found is not None
    assert is_same(found[0], corpus)
    assert found[1] == SKIPPED
    assert read_cache("other") is None


def test_a_second_load_takes_what_the_first_one_kept(
    study: Callable[..., StudyFile], cache: Path, corpus: Corpus
) -> None:
    made = load_material(study()).corpus
    (entry,) = cache.iterdir()
    assert is_same(load_material(study()).corpus, made)
    write_cache(entry.stem, corpus, SKIPPED)  # Nothing that tokenises could come to this.
    again = load_material(study())
    assert not is_same(again.corpus, made)
    assert is_same(again.corpus, corpus)
    assert again.skipped == SKIPPED


def test_another_seed_or_size_is_another_corpus(
    study: Callable[..., StudyFile], cache: Path
) -> None:
    for changes in ({}, {"seed": 1}, {"train": 33}, {"dev": 33}):
        made = load_material(study(**changes)).corpus
        assert is_same(load_material(study(**changes)).corpus, made)
    assert len(list(cache.iterdir())) == 4


def test_a_changed_file_and_files_of_extra_data_are_another_corpus(
    study: Callable[..., StudyFile], cache: Path, data_folder: Path
) -> None:
    before = load_material(study(path=str(data_folder))).corpus
    file = data_folder / "sts-dev.csv"
    file.write_text(file.read_text().replace("\t1\n", "\t2\n", 1))
    after = load_material(study(path=str(data_folder))).corpus
    assert after.splits["sts"]["dev"].labels[0] == 2 != before.splits["sts"]["dev"].labels[0]
    assert len(list(cache.iterdir())) == 2
    (data_folder / "amazon-reviews.csv").write_text("review\tstars\nfine\t4\n")
    (data_folder / "SICK_train.txt").write_text(
        "sentence_A\tsentence_B\trelatedness_score\na word\tone word\t3\n"
    )
    extra = load_material(study(path=str(data_folder), space={"extra_data": True})).corpus
    assert extra.has_extra
    assert not load_material(study(path=str(data_folder))).corpus.has_extra


def test_another_tokenizer_is_another_corpus(
    study: Callable[..., StudyFile], encoder_folder: Path, tmp_path: Path
) -> None:
    made = load_material(study()).corpus
    other = tmp_path / "encoder"
    other.mkdir()
    for file in encoder_folder.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    tokenizer = Tokenizer.from_file(str(other / "tokenizer.json"))
    tokenizer.normalizer = None  # type: ignore[assignment]
    tokenizer.save(str(other / "tokenizer.json"))
    assert not is_same(load_material(study(other)).corpus, made)


@pytest.mark.parametrize("damage", [b"", b"no header", None])
def test_a_damaged_entry_is_made_anew(
    study: Callable[..., StudyFile], cache: Path, damage: bytes | None
) -> None:
    made = load_material(study()).corpus
    (entry,) = cache.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert is_same(load_material(study()).corpus, made)
    assert entry.read_bytes() == whole


@pytest.mark.parametrize("blocked", ["cache", "folder", "entry"])
def test_a_cache_that_cannot_be_used_is_no_error(
    study: Callable[..., StudyFile], cache: Path, blocked: str
) -> None:
    made = load_material(study()).corpus
    (entry,) = cache.iterdir()
    entry.unlink()
    if blocked == "entry":
        (entry / "in the way").mkdir(parents=True)
    else:
        cache.rmdir()
        place = cache
        if blocked == "cache":
            cache.parent.rmdir()
            place = cache.parent
        place.write_text("a file where a folder should be")
    assert is_same(load_material(study()).corpus, made)
    assert is_same(load_material(study()).corpus, made)


def test_the_last_used_entries_stay(cache: Path, corpus: Corpus) -> None:
    for number in range(KEPT):
        write_cache(f"{number:02}", corpus, ())
        os.utime(cache / f"{number:02}.safetensors", (number, number))
    assert read_cache("00") is not None  # which is a use of it
    write_cache("new", corpus, ())
    assert len(list(cache.iterdir())) == KEPT
    assert read_cache("01") is None
    assert all(read_cache(key) is not None for key in ("00", "02", "09", "new"))


def _write_often(seed: int, corpus: Corpus) -> None:
    for _ in range(20):
        write_cache("same", corpus, [SkippedRow("file", seed, "why")])


def test_processes_that_write_at_once_leave_a_whole_entry(cache: Path, corpus: Corpus) -> None:
    write_cache("same", corpus, ())
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_often, args=(n, corpus)) for n in range(2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        found = read_cache("same")
        assert found is not None
        assert is_same(found[0], corpus)
    for writer in writers:
        writer.join()
    assert [file.name for file in cache.iterdir()] == ["same.safetensors"]


def test_the_user_s_cache_is_where_others_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpus: Corpus
) -> None:
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    write_cache("home", corpus, ())
    assert (tmp_path / ".cache" / "ablatune" / "corpus" / "home.safetensors").is_file()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    write_cache("xdg", corpus, ())
    assert (tmp_path / "xdg" / "ablatune" / "corpus" / "xdg.safetensors").is_file()


def test_parts_are_told_apart_and_so_is_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_key([b"ab", b"c"]) != cache_key([b"a", b"bc"]) != cache_key([b"abc"])
    assert cache_key([b"ab"]) == cache_key([b"ab"])
    before = cache_key([])
    monkeypatch.setattr("tokenizers.__version__", "0")
    assert (without := cache_key([])) != before
    monkeypatch.setattr("model.data.corpus_cache.code_hash", lambda: "another")
    assert cache_key([]) != without


def test_a_cached_corpus_is_the_tokenised_one(tokenizer: Tokenizer) -> None:
    with_extra = build_corpus(generate(3, 40, 32), tokenizer)
    write_cache("extra", with_extra, ())
    found = read_cache("extra")
    assert found is not None
    assert found[0].has_extra
    assert is_same(found[0], with_extra)
