"""What a study's settings name is loaded and fits together, or is refused before any training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from model.data.examples import SkippedRow
from model.grammar.generate import generate
from model.material import load_dataset, load_material
from spaces import Config, DataSettings, StudyFile, UserError, parse_study

HEADERS = {
    "ids-sst": "\tid\tsentence\tsentiment\n",
    "quora": "\tid\tsentence1\tsentence2\tis_duplicate\n",
    "sts": "\tid\tsentence1\tsentence2\tsimilarity\n",
}


def fill(folder: Path, rows: int = 3) -> Path:
    """The three tasks' files, with invented sentences: to an encoder that knows none of the words
    they still differ in length."""
    folder.mkdir(exist_ok=True)
    for split in ("train", "dev"):
        for name, header in HEADERS.items():
            pair = "" if name == "ids-sst" else "\tanother one"
            lines = [
                f"{i}\t{i}\tsentence {split} {i}{' of' * (i % 2)}{pair}\t{i % 2}\n"
                for i in range(rows)
            ]
            (folder / f"{name}-{split}.csv").write_text(header + "".join(lines))
    return folder


@pytest.fixture
def study(encoder_folder: Path) -> Any:
    """A study of the tiny encoder from the tables of its file."""

    def make(
        path: str | Path = "embedded", encoder: str = "", objective: str = "mean", **space: Any
    ) -> StudyFile:
        document = {
            "encoder": {"name": encoder or str(encoder_folder)},
            "data": {"path": str(path), "train": 32, "dev": 32},
            "space": space,
            "search": {"objective": objective},
        }
        return parse_study(document, "some", "some.toml")

    return make


def test_embedded_data_are_those_of_their_settings() -> None:
    settings = DataSettings(train=40, dev=33, seed=5)
    assert load_dataset(settings, with_extra=False) == generate(5, 40, 33)


def test_corpus_and_encoder_come_from_the_study(study: Any, encoder_folder: Path) -> None:
    material = load_material(study())
    assert material.encoder.folder == str(encoder_folder)
    assert {len(splits["train"]) for splits in material.corpus.splits.values()} == {32}
    assert material.corpus.tokens.max() < material.encoder.shape.vocabulary
    assert material.skipped == ()


def test_a_folder_of_files_becomes_the_corpus(study: Any, tmp_path: Path) -> None:
    material = load_material(study(fill(tmp_path / "data")))
    for splits in material.corpus.splits.values():
        assert {name: len(split) for name, split in splits.items()} == {"train": 3, "dev": 3}


def test_skipped_rows_are_passed_on(study: Any, tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", rows=150)
    with (folder / "quora-train.csv").open("a") as file:
        file.write("150\t150\talone\n")
    (row,) = load_material(study(folder)).skipped
    assert isinstance(row, SkippedRow)
    assert (row.file, row.row) == ("quora-train.csv", 152)


@pytest.mark.parametrize("extra", [True, [False, True]])
def test_extra_files_are_needed_where_the_space_may_use_them(
    study: Any, tmp_path: Path, extra: object
) -> None:
    folder = fill(tmp_path / "data")
    assert not load_material(study(folder, extra_data=False)).corpus.has_extra
    with pytest.raises(UserError, match=r"lacks amazon-reviews\.csv"):
        load_material(study(folder, extra_data=extra))


def test_missing_data_are_refused(study: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere is not a folder; data\.path names"):
        load_material(study(tmp_path / "nowhere"))
    folder = fill(tmp_path / "data")
    (folder / "sts-dev.csv").unlink()
    with pytest.raises(UserError, match=r"lacks sts-dev\.csv"):
        load_material(study(folder))


PAIR = "\tid\tsentence1\tsentence2\t"


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "sts-dev.csv",
            PAIR + "similarity\n0\t0\ta\tb\t2.5\n1\t1\tc\td\t2.5\n",
            "sts-dev.csv: all 2 labels are 2.5, with which every network would have the same "
            "score of sts or none; dev labels must differ.",
        ),
        ("sts-dev.csv", PAIR + "similarity\n0\t0\ta\tb\t2.5\n", "sts-dev.csv has 1 usable row"),
        (
            "sts-dev.csv",
            PAIR + "similarity\n0\t0\ta\tb\t1\n1\t1\ta\tb\t2\n",
            "sts-dev.csv: all 2 rows have the same sentences",
        ),
        (
            "quora-dev.csv",
            PAIR + "is_duplicate\n0\t0\ta\tb\t1\n1\t1\tc\td\t1\n",
            "quora-dev.csv: all 2 labels are 1, ",
        ),
        (
            "ids-sst-dev.csv",
            "\tid\tsentence\tsentiment\n0\t0\ta\t3\n1\t1\tc\t3\n",
            "ids-sst-dev.csv: all 2 labels are 3, ",
        ),
        ("ids-sst-dev.csv", "\tid\tsentence\tsentiment\n", "has a header line but no rows"),
    ],
)
def test_dev_examples_that_give_no_score_are_refused(
    study: Any, tmp_path: Path, file: str, content: str, message: str
) -> None:
    folder = fill(tmp_path / "data")
    (folder / file).write_text(content)
    with pytest.raises(UserError) as error:
        load_material(study(folder))
    assert message in str(error.value)
    assert str(folder) in str(error.value)


def test_only_the_objectives_scores_must_be_there(study: Any, tmp_path: Path) -> None:
    folder = fill(tmp_path / "data")
    (folder / "sts-dev.csv").write_text(PAIR + "similarity\n0\t0\ta\tb\t2.5\n")
    load_material(study(folder, objective="sst"))
    for objective in ("sts", "mean"):
        with pytest.raises(UserError, match=r"sts-dev\.csv has 1 usable row"):
            load_material(study(folder, objective=objective))


def test_a_missing_encoder_is_refused(study: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no encoder folder"):
        load_material(study(encoder=str(tmp_path / "no" / "such")))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"trainable_layers": 3}, "trainable_layers allows 3, but the encoder .* has 2 layers"),
        ({"trainable_layers": ["all", 1, 24]}, "trainable_layers allows 24"),
        ({"reinitialized_layers": 3}, "reinitialized_layers allows 3"),
        ({"reinitialized_layers": "free"}, "reinitialized_layers allows 6"),
        ({"pooled_layers": 3}, "pooled_layers allows 3"),
        ({"pooled_layers": "free"}, "pooled_layers allows 4"),
        ({"max_length": 129}, "max_length allows 129, but .* reads at most 128 tokens"),
        ({"max_length": {"low": 16, "high": 200, "log": True}}, "max_length allows 200"),
        ({"max_length": [16, 256]}, "max_length allows 256"),
    ],
)
def test_a_space_with_more_than_the_encoder_has_is_refused_before_data_are_read(
    study: Any, tmp_path: Path, space: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        load_material(study(tmp_path / "nowhere", **space))


@pytest.mark.parametrize(
    "space",
    [
        {"trainable_layers": ["all", "none", 2], "max_length": 128},
        {"max_length": {"low": 16, "high": 128, "log": True}},
    ],
)
def test_a_space_that_the_encoder_has_just_enough_for_is_taken(
    study: Any, space: dict[str, Any]
) -> None:
    assert load_material(study(**space)).encoder.shape.positions == Config().max_length
