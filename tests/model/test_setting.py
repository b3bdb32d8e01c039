"""Data and encoder are known by content: what changed is named, what only moved is the same."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
import torch
from safetensors.torch import load_file, save_file

from model import Pretrained, Setting, load_encoder, load_material
from model.setting import _plain_shape, _weights
from spaces import UserError, parse_study
from tests.model.test_material import fill

Make = Callable[..., Setting]


@pytest.fixture
def setting(encoder_folder: Path) -> Make:
    """What a study is begun with."""

    def make(path: str | Path = "embedded", encoder: Path = encoder_folder, **data: Any) -> Setting:
        document = {
            "encoder": {"name": str(encoder)},
            "data": {"path": str(path), "train": 32, "dev": 32, **data},
        }
        study = parse_study(document, "some", "some.toml")
        return Setting.of(study, load_material(study), "fp32")

    return make


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return fill(tmp_path / "data", rows=8)


@pytest.fixture
def own_encoder(encoder_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(encoder_folder, tmp_path / "encoder"))


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_toml_file_keeps_all_of_it(setting: Make, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "setting.toml"
    for whole in (setting(), setting(data).computed_in("bf16", "GPU")):
        file.write_text(tomli_w.dumps(whole.table()))
        assert Setting.from_file(file) == whole
    assert tomllib.loads(file.read_text())["precision"] == "bf16"
    assert Setting.from_file(tmp_path / "none.toml") is None


def test_the_same_content_elsewhere_is_the_same(
    setting: Make, data: Path, own_encoder: Path, encoder_folder: Path, tmp_path: Path
) -> None:
    before = setting(data, encoder_folder)
    moved = data.rename(tmp_path / "moved")
    after = setting(moved, own_encoder)
    assert after.data_path != before.data_path
    assert before.changes(after) == []
    assert before.notes(after) == []


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("sts-dev.csv", "7\t7\tsentence dev 7 of\tanother one\t1\n", ""),  # shortened
        ("sts-dev.csv", "sentence dev 7 of\tanother one\t1", "sentence dev 7 of\tanother one\t2"),
        ("ids-sst-train.csv", "sentence train 3", "one train 3"),
        (
            "quora-train.csv",
            "3\t3\tsentence train 3 of\tanother one\t1\n",
            "3\t3\tsentence\tone\t1\n",
        ),
    ],
)
def test_a_changed_file_is_named(setting: Make, data: Path, file: str, old: str, new: str) -> None:
    before = setting(data)
    change(data / file, old, new)
    assert before.changes(setting(data)) == [f"{file} has changed"]
    change(data / file, new, old) if new else fill(data, rows=8)
    assert before.changes(setting(data)) == []


def test_a_file_written_anew_with_the_same_examples_is_the_same(setting: Make, data: Path) -> None:
    before = setting(data)
    file = data / "sts-train.csv"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert before.changes(setting(data)) == []


def test_other_examples_in_the_same_file_are_another_version_s(setting: Make, data: Path) -> None:
    now = setting(data)
    source = now.sources["sts/dev"]
    read_otherwise = {**now.sources, "sts/dev": dataclasses.replace(source, examples="others")}
    before = dataclasses.replace(now, sources=read_otherwise)
    assert before.changes(now) == ["this version of ablatune reads other examples in sts-dev.csv"]


def test_embedded_data_are_known_by_what_was_made(setting: Make, data: Path) -> None:
    before = setting()
    assert before.changes(setting()) == []
    assert before.changes(setting(seed=1, train=40)) == [
        "data.train was 32 and is 40",
        "data.seed was 0 and is 1",
    ]
    sources = {
        name: dataclasses.replace(source, examples="others") if "sts" in name else source
        for name, source in before.sources.items()
    }
    assert dataclasses.replace(before, sources=sources).changes(before) == [
        "this version of ablatune makes other data (sts/dev, sts/extra, sts/train)"
    ]
    assert before.changes(setting(data)) == [f"data.path was embedded and is {data}"]


def test_changed_weights_are_named_and_another_format_is_none(
    setting: Make, own_encoder: Path
) -> None:
    before = setting(encoder=own_encoder)
    weights = load_file(own_encoder / "model.safetensors")
    (own_encoder / "model.safetensors").unlink()
    torch.save(weights, own_encoder / "pytorch_model.bin")
    assert before.changes(setting(encoder=own_encoder)) == []
    name = next(n for n in weights if "query.weight" in n)
    weights[name] = weights[name].clone()
    weights[name][0, 0] += 1e-3
    save_file(weights, own_encoder / "model.safetensors")
    assert before.changes(setting(encoder=own_encoder)) == ["the encoder's weights have changed"]


def test_a_changed_configuration_is_named_with_its_values(setting: Make, own_encoder: Path) -> None:
    before = setting(encoder=own_encoder)
    config = json.loads((own_encoder / "config.json").read_text())
    config |= {"_name_or_path": "elsewhere", "transformers_version": "9", "dtype": "float32"}
    (own_encoder / "config.json").write_text(json.dumps(config))
    assert before.changes(setting(encoder=own_encoder)) == []
    (own_encoder / "config.json").write_text(json.dumps({**config, "hidden_act": "relu"}))
    assert before.changes(setting(encoder=own_encoder)) == [
        'the encoder\'s activation was "gelu" and is "relu"'
    ]


def test_a_changed_tokenizer_is_named_where_it_reads_otherwise(
    setting: Make, data: Path, own_encoder: Path
) -> None:
    before = setting(data, own_encoder)
    file = own_encoder / "tokenizer.json"
    content = json.loads(file.read_text())
    words = content["model"]["vocab"]
    used = {"sentence", "train", "dev", "another", "one", *map(str, range(8))}
    first, second, *_ = [w for w in words if w.isalpha() and w not in used]
    words["unheard"] = words.pop(first)
    file.write_text(json.dumps(content))
    assert setting(data, own_encoder).tokenizer != before.tokenizer
    assert before.changes(setting(data, own_encoder)) == []
    words["sentence"] = words.pop(second)
    file.write_text(json.dumps(content))
    assert before.changes(setting(data, own_encoder)) == ["the encoder's tokenizer has changed"]


def test_a_precision_is_a_change_and_surroundings_are_notes(setting: Make) -> None:
    begun = setting().computed_in("fp32", "CPU")
    now = setting().computed_in("bf16", "GPU")
    assert begun.changes(now) == ["the precision was fp32 and is bf16"]
    assert begun.notes(now) == ["device: CPU, now GPU"]
    older = dataclasses.replace(
        begun,
        surroundings={**begun.surroundings, "torch": "1.0", "ablatune's code": "x", "gone": "1"},
    )
    assert older.notes(begun) == [
        f"torch: 1.0, now {begun.surroundings['torch']}",
        "ablatune's code is another",
    ]


def test_an_encoder_of_transformers_is_known_by_content_too(
    encoder_of: Callable[[str], Pretrained], tmp_path: Path
) -> None:
    folder = Path(encoder_of("electra").folder)
    moved = Path(shutil.copytree(folder, tmp_path / "moved"))
    first, second = load_encoder(str(folder)), load_encoder(str(moved))
    assert _plain_shape(first.shape) == _plain_shape(second.shape)
    assert _plain_shape(first.shape)["num_attention_heads"] > 0
    assert _weights(first.weights) == _weights(second.weights)


def test_half_a_gigabyte_takes_seconds() -> None:
    weights = {f"layer {i}": np.zeros((1 << 23,), dtype=np.float32) for i in range(16)}
    started = time.process_time()
    _weights(weights)
    assert time.process_time() - started < 5.0


def test_what_is_no_setting_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "setting.toml"
    for content in (b"", b'precision = "fp32"', b"[data", b"\xff", b"data = 1\nencoder = 2"):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"setting\.toml does not say what it was begun with"):
            Setting.from_file(file)
