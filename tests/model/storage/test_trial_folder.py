"""A trial's folder holds its configuration and every measured epoch once."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.storage.trial_folder import TrialFolder
from spaces import Config, UserError
from tests.tries import tries


@pytest.fixture
def folder(tmp_path: Path) -> TrialFolder:
    made = TrialFolder(tmp_path / "trials" / "7")
    made.start(Config())
    return made


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(loss_weighting="tuned", loss_weights=(0.1, 0.2, 0.7), trainable_layers=2, seed=9),
        Config(trainable_layers="none", shared_pair_head=False, encoder_learning_rate=1.25e-7),
    ],
)
def test_configuration_comes_back(tmp_path: Path, config: Config) -> None:
    folder = TrialFolder(tmp_path / "trial")
    folder.start(config)
    assert folder.config() == config
    assert set(tomllib.loads((folder.path / "config.toml").read_text())) == set(config.values())


def test_a_configuration_edited_wrongly_is_refused_by_name(folder: TrialFolder) -> None:
    (folder.path / "config.toml").write_text("poling = 'mean'")
    with pytest.raises(UserError, match=r"'poling' in .*config\.toml; did you mean 'pooling'"):
        folder.config()


def test_a_configuration_is_never_half_written(
    folder: TrialFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process of the same trial may read it at any moment."""
    seen: list[Config] = []
    replace = Path.replace

    def look(file: Path, target: Path) -> Path:
        seen.append(folder.config())
        return replace(file, target)

    monkeypatch.setattr(Path, "replace", look)
    folder.start(Config(seed=1))
    assert seen == [Config()]
    assert folder.config() == Config(seed=1)


def test_places_are_those_of_the_design(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    assert folder.checkpoint == tmp_path / "checkpoint"
    assert folder.metrics == tmp_path / "metrics.jsonl"
    assert folder.log == tmp_path / "log.txt"


def test_nothing_is_measured_before_the_first_epoch(folder: TrialFolder) -> None:
    assert folder.read() == []


def test_epochs_are_one_line_each(folder: TrialFolder) -> None:
    for epoch in (1, 2):
        folder.record(epoch, {"score/mean": epoch / 4, "seconds": 1.5})
    lines = folder.metrics.read_text().splitlines()
    assert [json.loads(line) for line in lines] == folder.read()
    assert folder.read() == [
        {"epoch": 1, "score/mean": 0.25, "seconds": 1.5},
        {"epoch": 2, "score/mean": 0.5, "seconds": 1.5},
    ]


@settings(max_examples=tries(20))  # Each writes to the disk many times.
@given(st.lists(st.sampled_from([0.25, 0.75, 1, 2, 2.25, 3]), min_size=1, max_size=12))
def test_an_epoch_measured_again_replaces_itself_and_what_came_after(
    tmp_path_factory: pytest.TempPathFactory, epochs: list[float]
) -> None:
    folder = TrialFolder(tmp_path_factory.mktemp("trial"))
    expected: dict[float, int] = {}
    for attempt, epoch in enumerate(epochs):
        folder.record(epoch, {"score/mean": attempt})
        expected = {e: a for e, a in expected.items() if e < epoch} | {epoch: attempt}
    assert {row["epoch"]: row["score/mean"] for row in folder.read()} == expected
    assert len(folder.read()) == len(expected)


def test_what_is_no_number_is_left_out_so_that_every_line_is_json(folder: TrialFolder) -> None:
    folder.record(1, {"dev_loss/sst": float("nan"), "dev_loss/sts": float("inf"), "seconds": 2})
    assert folder.read() == [{"epoch": 1, "seconds": 2}]


def test_half_a_line_is_read_over_and_written_anew(folder: TrialFolder) -> None:
    """What a process leaves that is killed while it writes."""
    folder.record(1, {"score/mean": 0.5})
    with folder.metrics.open("a") as file:
        file.write('{"epoch": 2, "score/m')
    assert folder.read() == [{"epoch": 1, "score/mean": 0.5}]
    folder.record(2, {"score/mean": 0.7})
    assert [row["score/mean"] for row in folder.read()] == [0.5, 0.7]


DAMAGED = ["oops", "\x00" * 9, "[]", "null", "{}", '{"epoch": "2"}', '{"epoch": 2, "seconds": "1"}']
DAMAGED += ['{"epoch": 2, "seco', '{"epoch": -1}', '{"epoch": NaN}', "[" * 5000, '{"epoch": true}']


@pytest.mark.parametrize("line", DAMAGED)
def test_a_line_that_cannot_be_read_costs_that_line_and_is_told(
    folder: TrialFolder, line: str
) -> None:
    for epoch in (1, 3):
        folder.record(epoch, {"score/mean": epoch / 4})
    first, last = folder.metrics.read_text().splitlines()
    damaged = f"{first}\n{line}\n{last}\n"
    folder.metrics.write_text(damaged)
    expected = [{"epoch": 1, "score/mean": 0.25}, {"epoch": 3, "score/mean": 0.75}]
    assert folder.read() == expected
    assert folder.metrics.read_text() == damaged  # who reads does not write
    told = folder.mend()
    assert told is not None
    assert "metrics.jsonl, line(s) 2 cannot be read" in told
    assert folder.metrics.read_text() == f"{first}\n{last}\n"
    assert (folder.path / "metrics.damaged").read_text() == damaged
    assert folder.mend() is None
    folder.record(4, {"score/mean": 1.0})
    assert folder.read() == [*expected, {"epoch": 4, "score/mean": 1.0}]


def test_empty_and_doubled_lines_say_nothing_new(folder: TrialFolder) -> None:
    for epoch in (1, 2):
        folder.record(epoch, {"score/mean": epoch / 4})
    expected = folder.read()
    text = folder.metrics.read_text()
    folder.metrics.write_text(f"\n{text}{text}\n \n")
    assert folder.read() == expected
    assert folder.mend() is None
    folder.record(3, {"score/mean": 0.75})
    assert [row["epoch"] for row in folder.read()] == [1, 2, 3]
    assert len(folder.metrics.read_text().splitlines()) == 3


def test_bytes_of_no_text_are_read_over(folder: TrialFolder) -> None:
    folder.record(1, {"score/mean": 0.5})
    with folder.metrics.open("ab") as file:
        file.write(b"\xff\xfe\n")
    assert folder.read() == [{"epoch": 1, "score/mean": 0.5}]


def test_metrics_that_are_a_folder_are_one_sentence(folder: TrialFolder) -> None:
    folder.metrics.mkdir(parents=True)
    with pytest.raises(UserError) as error:
        folder.read()
    assert str(error.value) == f"Cannot read {folder.metrics}: Is a directory."
