"""The JSON schema accepts the packaged studies and refuses what an editor should underline."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from spaces import STUDIES, factors, study_schema

DOCS = Path(__file__).parents[2] / "docs"
STUDY_FILES = sorted(STUDIES.glob("*.toml"))
SCHEMA = study_schema()


def allowed(document: dict[str, Any]) -> bool:
    return bool(Draft202012Validator(SCHEMA).is_valid(document))


def test_the_schema_is_a_json_schema() -> None:
    Draft202012Validator.check_schema(json.loads(json.dumps(SCHEMA)))


@pytest.mark.parametrize("file", STUDY_FILES, ids=lambda file: file.stem)
def test_the_schema_accepts_a_packaged_study_and_not_a_misspelling_of_it(file: Path) -> None:
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    assert allowed(document)
    assert not allowed({**document, "serch": {}})
    for table, values in document.items():
        for name, value in values.items():
            others = {n: v for n, v in values.items() if n != name}
            assert not allowed({**document, table: {**others, f"{name}s": value}})


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"space": {"pooling": "cls"}},
        {"space": {"pooling": ["cls", "mean"]}},
        {"space": {"pooling": "free"}},
        {"space": {"warmup": {"low": 0.0, "high": 0.2, "log": False}}},
        {"space": {"warmup": {}}},
        {"space": {"loss_weights": [0.5, 0.25, 0.25]}},
        {"space": {"loss_weights": [[0.5, 0.25, 0.25], [1, 0, 0]]}},
        {"space": {"epochs": 3}},
        {"search": {"hours": 1.5}, "resources": {"gpus": 0.5}},
    ],
)
def test_the_schema_accepts_each_way_to_write_a_factor(document: dict[str, Any]) -> None:
    assert allowed(document)


@pytest.mark.parametrize(
    "document",
    [
        {"search": {"trials": 0}},
        {"search": {"trials": "8"}},
        {"search": {"sampler": "tep"}},
        {"search": 8},
        {"data": {"path": " "}},
        {"space": {"jaccard": 1}},
        {"space": {"warmup": 0.7}},
        {"space": {"warmup": [0.1, 0.7]}},
        {"space": {"warmup": [0.1, 0.1]}},
        {"space": {"warmup": []}},
        {"space": {"warmup": {"low": -0.1}}},
        {"space": {"warmup": {"lo": 0.1}}},
        {"space": {"warmup": "fre"}},
        {"space": {"pooling": {"low": 1}}},
        {"space": {"loss_weights": [0.5, 0.5]}},
        {"space": {"epochs": [3, 4]}},
        {"space": {"epochs": "free"}},
    ],
)
def test_the_schema_refuses_a_value_out_of_its_domain(document: dict[str, Any]) -> None:
    assert not allowed(document)


def test_every_key_has_a_description_and_a_default_that_it_allows() -> None:
    for table, schema in SCHEMA["properties"].items():
        for name, value in schema["properties"].items():
            assert value["description"], f"{table}.{name}"
            if "default" in value:
                assert allowed({table: {name: value["default"]}}), f"{table}.{name}"
    assert list(SCHEMA["properties"]["space"]["properties"]) == list(factors())


@pytest.mark.parametrize("file", STUDY_FILES, ids=lambda file: file.stem)
def test_a_packaged_study_names_the_schema_for_editors(file: Path) -> None:
    directive, path = file.read_text(encoding="utf-8").splitlines()[0].split()
    assert directive == "#:schema"
    assert (file.parent / path).resolve() == (DOCS / "study.schema.json").resolve()


def test_the_schema_in_the_docs_is_current() -> None:
    written = (DOCS / "study.schema.json").read_text(encoding="utf-8")
    current = json.dumps(study_schema(), indent=2) + "\n"
    assert written == current, "run: ablatune space --schema > docs/study.schema.json"
