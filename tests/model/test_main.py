"""`python -m model` trains one configuration, goes on where it was, and refuses in a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w

from model import BEST, LAST, DivergenceError, TrialFolder, load_last
from model import __main__ as command
from tests.model.test_material import fill

Run = Callable[..., int]


@pytest.fixture
def trial(tmp_path: Path) -> TrialFolder:
    return TrialFolder(tmp_path / "trial")


@pytest.fixture
def run(encoder_folder: Path, trial: TrialFolder) -> Run:
    """The command on the tiny encoder and few data; the exit code."""

    def run(*changes: str, study: str = "quickstart") -> int:
        settings = [
            f"encoder.name={encoder_folder}",
            "data.train=32",
            "data.dev=32",
            "resources.precision=fp32",
            "epochs=2",
            "samples_per_epoch=16",
            "batch_size=8",
            *changes,
        ]
        overrides = [part for setting in settings for part in ("--set", setting)]
        return command.main([study, *overrides, "--dir", str(trial.path)])

    return run


def untimed(row: dict[str, float]) -> dict[str, float]:
    return {name: v for name, v in row.items() if name not in ("seconds", "examples_per_second")}


def test_every_epoch_is_printed_and_recorded(
    run: Run, trial: TrialFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    printed = capsys.readouterr()
    first, *epochs, best = printed.out.splitlines()
    assert first == f"quickstart: 1 process(es) on cpu, fp32, into {trial.path}"
    assert len(epochs) == 2
    rows = trial.read()
    for number, (line, row) in enumerate(zip(epochs, rows, strict=True), start=1):
        assert row["epoch"] == number
        scores = [f"{name} {row[f'score/{name}']:.3f}" for name in ("sst", "para", "sts", "mean")]
        assert line.startswith(f"epoch {number}/2: {' '.join(scores)} (")
        assert re.search(r"[0-9.]+ s, [0-9]+ examples/s\)$", line)
    means = [row["score/mean"] for row in rows]
    number = means.index(max(means)) + 1
    assert best == f"best: epoch {number}, {max(means):.4f}; see {trial.path}"
    assert {file.name for file in trial.checkpoint.iterdir()} == {BEST, LAST}


def test_set_reaches_the_configuration(run: Run, trial: TrialFolder) -> None:
    assert run("pooling=cls", "space.seed=3", "epochs=1") == 0
    config = trial.config()
    assert (config.pooling, config.seed, config.epochs) == ("cls", 3, 1)


@pytest.mark.parametrize("objective", ["mean", "sst", "para", "sts"])
def test_best_epoch_is_by_the_studys_objective(
    run: Run, trial: TrialFolder, capsys: pytest.CaptureFixture[str], objective: str
) -> None:
    assert run(f"search.objective={objective}") == 0
    scores = [row[f"score/{objective}"] for row in trial.read()]
    best = f"best: epoch {scores.index(max(scores)) + 1}, {max(scores):.4f};"
    assert best in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("poling=cls", "Unknown key 'poling' in --set poling=cls; did you mean 'pooling'?"),
        ("head=deep", 'head must be one of "feed-forward", "linear", but it is "deep".'),
        ("max_length=129", "reads at most 128 tokens."),
        ("trainable_layers=3", "has 2 layers."),
        ("data.path=nowhere", "is not a folder; data.path names the folder of the data files."),
        ("pooling", "write KEY=VALUE, for example --set search.trials=8."),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(
    run: Run,
    trial: TrialFolder,
    capsys: pytest.CaptureFixture[str],
    change: str,
    sentence: str,
) -> None:
    assert run(change) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("error: ")
    assert line.endswith(sentence)
    assert not trial.path.exists()


def test_a_study_that_does_not_exist_is_exit_code_2(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(study="quickstrat") == 2
    assert "There is no study file quickstrat" in capsys.readouterr().err


def test_an_interrupted_trial_goes_on_where_it_was(
    run: Run,
    trial: TrialFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("epochs=3") == 0
    whole, weights = trial.read(), load_last(trial.checkpoint)
    (trial.checkpoint / LAST).unlink()
    trial.metrics.unlink()
    record = TrialFolder.record

    def interrupted(folder: TrialFolder, epoch: int, metrics: object) -> None:
        record(folder, epoch, metrics)  # type: ignore[arg-type]
        if epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrialFolder, "record", interrupted)
        assert run("epochs=3") == 130
    assert f"the same command goes on from {trial.path}" in capsys.readouterr().err
    assert run("epochs=3") == 0
    printed = capsys.readouterr().out
    assert "epoch 1/3" not in printed
    assert "epoch 2/3" in printed
    assert "epoch 3/3" in printed
    assert [untimed(row) for row in trial.read()] == [untimed(row) for row in whole]
    resumed = load_last(trial.checkpoint)
    assert resumed is not None
    assert weights is not None
    for name, tensor in weights["network"].items():
        assert tensor.equal(resumed["network"][name])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("pooling=cls", 'pooling was "mean" and is "cls"'),
        ("search.objective=sts", "search.objective was mean and is sts"),
        ("resources.precision=bf16", "the precision was fp32 and is bf16"),
        ("data.seed=1", "data.seed was 0 and is 1"),
    ],
)
def test_a_folder_of_another_trial_is_refused(
    run: Run, trial: TrialFolder, capsys: pytest.CaptureFixture[str], change: str, said: str
) -> None:
    assert run("epochs=1") == 0
    before = {file: file.read_bytes() for file in trial.path.rglob("*") if file.is_file()}
    capsys.readouterr()
    assert run("epochs=1", change) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {trial.path} holds another trial: {said}. Name another ")
    assert error.count("\n") == 1
    assert {f: f.read_bytes() for f in trial.path.rglob("*") if f.is_file()} == before


def test_changed_data_are_refused_and_moved_ones_are_not(
    run: Run, trial: TrialFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = fill(tmp_path / "data", rows=40)
    assert run(f"data.path={data}", "epochs=1") == 0
    moved = data.rename(tmp_path / "moved")
    assert run(f"data.path={moved}", "epochs=1") == 0
    rows = (moved / "sts-dev.csv").read_text().splitlines(keepends=True)
    (moved / "sts-dev.csv").write_text("".join(rows[:-1]))
    capsys.readouterr()
    assert run(f"data.path={moved}", "epochs=1") == 2
    assert "holds another trial: sts-dev.csv has changed. Name" in capsys.readouterr().err


def test_what_nothing_was_trained_with_binds_nobody(
    run: Run, trial: TrialFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def interrupted(*_args: object, **_keys: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(command, "train", interrupted)
        assert run("epochs=1") == 130
    assert trial.config().pooling == "mean"
    assert run("epochs=1", "pooling=cls", "data.seed=1") == 0
    assert trial.config().pooling == "cls"


def test_a_trial_of_an_earlier_version_goes_on(
    run: Run, trial: TrialFolder, encoder_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("epochs=1") == 0
    old = {
        "encoder": {"name": str(encoder_folder)},
        "data": {"path": "embedded", "train": 32, "dev": 32, "seed": 0},
        "objective": "mean",
        "precision": "fp32",
    }
    trial.setting_file.write_text(tomli_w.dumps(old))
    capsys.readouterr()
    assert run("epochs=1") == 0
    assert "An earlier version of ablatune began the trial" in capsys.readouterr().err
    assert trial.setting()["encoder"]["weights"]
    trial.setting_file.write_text(tomli_w.dumps({**old, "data": {"path": "/there"}}))
    assert run("epochs=1") == 2
    assert "data.path was /there and is embedded" in capsys.readouterr().err


def test_auto_is_measured_once_and_kept(
    run: Run, trial: TrialFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.precision.has_bf16", lambda gpu: True)
    monkeypatch.setattr("model.precision.time_precisions", lambda *_given: (1.0, 2.0))
    assert run("epochs=1", "resources.precision=auto") == 0
    assert trial.setting()["precision"] == "fp32"
    monkeypatch.setattr("model.precision.time_precisions", lambda *_given: (2.0, 1.0))
    assert run("epochs=1", "resources.precision=auto") == 0
    assert trial.setting()["precision"] == "fp32"


def test_a_damaged_checkpoint_is_exit_code_2(
    run: Run, trial: TrialFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("epochs=1") == 0
    (trial.checkpoint / LAST).write_bytes(b"no checkpoint")
    capsys.readouterr()
    assert run("epochs=1") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "last.pt cannot be read" in line


def test_divergence_is_exit_code_1(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverges(*_args: object, **_keys: object) -> None:
        raise DivergenceError(3, "sts", float("inf"))

    monkeypatch.setattr(command, "train", diverges)
    assert run() == 1
    assert capsys.readouterr().err == "error: epoch 3: the training loss of sts is inf\n"


def test_skipped_rows_are_named(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = {
        "ids-sst": "\tid\tsentence\tsentiment\n",
        "quora": "\tid\tsentence1\tsentence2\tis_duplicate\n",
        "sts": "\tid\tsentence1\tsentence2\tsimilarity\n",
    }
    for name, header in headers.items():
        pair = "" if name == "ids-sst" else "\tanother one"
        rows = "".join(f"{i}\t{i}\tsentence {i}{pair}\t{i % 2}\n" for i in range(120))
        for split in ("train", "dev"):
            (tmp_path / f"{name}-{split}.csv").write_text(header + rows)
    with (tmp_path / "quora-dev.csv").open("a") as file:
        file.write("120\t120\talone\n")
    # To the tests' encoder, which knows none of these words, all pairs are alike.
    objective = "search.objective=sst"
    assert run(f"data.path={tmp_path}", "epochs=1") == 2
    assert "all 120 rows have the same sentences" in capsys.readouterr().err
    assert run(f"data.path={tmp_path}", "epochs=1", objective) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("skipped quora-dev.csv, row 122: ")
