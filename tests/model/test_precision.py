"""Which precision "auto" means: what is faster on a CPU, what the hardware has on a GPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from model import BF16, FP32, faster_precision, in_precision, load_material
from model.precision import faster, time_precisions
from spaces import StudyFile, parse_study


@pytest.fixture
def study(encoder_folder: Any) -> StudyFile:
    document = {
        "encoder": {"name": str(encoder_folder)},
        "data": {"train": 32, "dev": 32},
        "space": {"batch_size": 8, "samples_per_epoch": 32, "pooling": ["mean", "cls"]},
    }
    return parse_study(document, "some", "some.toml")


@pytest.mark.parametrize(
    ("fp32", "bf16", "expected"),
    [(2.0, 1.0, BF16), (1.0, 2.0, FP32), (1.0, 1.0, FP32), (1.0, 0.99, FP32), (1.0, 0.9, BF16)],
)
def test_bf16_has_to_be_worth_it(fp32: float, bf16: float, expected: str) -> None:
    assert faster(fp32, bf16) == expected


def test_what_was_measured_decides_on_a_cpu_that_has_bf16(
    study: StudyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    material = load_material(study)
    monkeypatch.setattr("model.precision.has_bf16", lambda gpu: True)
    for seconds, expected in (((1.0, 3.0), FP32), ((3.0, 1.0), BF16)):
        monkeypatch.setattr("model.precision.time_precisions", lambda *_g, s=seconds: s)
        assert faster_precision(study, material, gpu=False) == expected
        assert faster_precision(study, material, gpu=True) == BF16  # nothing is measured


def test_nothing_is_measured_where_there_is_no_bf16(
    study: StudyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    material = load_material(study)
    monkeypatch.setattr("model.precision.has_bf16", lambda gpu: False)
    monkeypatch.setattr("model.precision.time_precisions", None)
    assert faster_precision(study, material, gpu=False) == FP32
    assert faster_precision(study, material, gpu=True) == FP32


@pytest.mark.parametrize(
    "space",
    [
        {},
        {"trainable_layers": "none"},
        {"sampling": "sequential"},
        {"pair_encoding": "joint"},
        {"gradient_surgery": "pcgrad"},
    ],
)
def test_updates_are_timed_in_both_and_leave_nothing_behind(
    study: StudyFile, space: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.precision._SECONDS", 0.01)
    material = load_material(study)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    config = study.space.config().replace(**space)
    found = time_precisions(config, material.corpus, material.encoder, threads=1)
    assert all(0 < seconds < 60 for seconds in found)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_a_study_in_a_precision_is_else_the_same(study: StudyFile) -> None:
    assert study.resources.precision == "auto"
    assert in_precision(study, BF16).resources.precision == BF16
    assert in_precision(in_precision(study, BF16), "auto") == study
