"""One search at a time writes to a study's folder, and only one that may."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from model import Setting
from model.setting import Source
from search.ledger.ledger import Ledger
from search.trials.study_folder import StudyFolder
from spaces import StudyFile, UserError, load_study, parse_study

SPACE = {
    "epochs": 4,
    "trainable_layers": ["all", 1, 2],
    "jaccard": [True, False],
    "loss_weighting": ["equal", "tuned"],
    "loss_weights": "free",
    "batch_size": {"low": 8, "high": 64},
    "dropout": {"low": 0.0, "high": 0.5},
}
HOLD = """
import sys
from pathlib import Path
from search.trials.study_folder import StudyFolder
with StudyFolder(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


def study_of(**changes: dict[str, Any]) -> StudyFile:
    tables = {
        "encoder": {"name": "minilm"},
        "data": {"train": 64},
        "space": SPACE,
        "search": {"trials": 8},
        "resources": {"processes": 1, "precision": "fp32"},
    }
    merged = {name: {**values, **changes.get(name, {})} for name, values in tables.items()}
    return parse_study(merged, "study", "study")


@contextmanager
def held_by_another(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the study's folder until it is told to end."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def wait_until_free(folder: StudyFolder) -> None:
    deadline = time.monotonic() + 10
    while folder.in_use():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_second_search_is_refused_while_the_first_one_lives(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "study")
    assert not folder.in_use()
    with held_by_another(folder.path) as process:
        assert folder.in_use()
        with (
            pytest.raises(UserError, match=rf"process {process.pid}\) is running in .*--dir"),
            folder.locked(),
        ):
            pass
        assert folder.in_use()  # asking did not free it
        process.kill()  # as hard as can be
        process.wait()
    wait_until_free(folder)
    with folder.locked():
        assert folder.in_use()
    assert not folder.in_use()


def test_a_folder_that_was_never_searched_is_not_in_use(tmp_path: Path) -> None:
    assert not StudyFolder(tmp_path).in_use()
    assert not list(tmp_path.iterdir())


def test_the_stored_study_is_the_whole_study(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "study")
    study = study_of()
    folder.open(study)
    assert folder.study() == study
    alone = tmp_path / "elsewhere" / "study.toml"
    alone.parent.mkdir()
    folder.file.rename(alone)
    again = load_study(alone)
    assert again == study
    assert list(again.space.free) == list(study.space.free)


def test_the_stored_study_is_named_after_its_folder(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "named")
    folder.open(study_of())
    assert folder.study().name == "named"


def measured(path: Path, study: StudyFile, setting: Setting | None = None) -> StudyFolder:
    """A folder where a trial has measured something."""
    folder = StudyFolder(path)
    folder.open(study, setting)
    trial = folder.trial("0000")
    trial.start(study.space.config())
    trial.record(1, {"score/mean": 0.5})
    return folder


def test_the_same_study_may_go_on(tmp_path: Path) -> None:
    folder = measured(tmp_path, study_of())
    folder.open(study_of())
    assert folder.study().tables() == study_of().tables()


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("search", "trials", 99),
        ("search", "hours", 1.5),
        ("search", "total_epochs", 20.0),
        ("search", "patience", 5.0),
        ("search", "tolerance", 0.01),
        ("resources", "price", 2.5),
        ("search", "keep", 1),
        ("resources", "processes", 2),
        ("resources", "cpus", 2),
        ("resources", "concurrent", 1),
    ],
)
def test_how_much_and_where_may_change(tmp_path: Path, table: str, key: str, value: object) -> None:
    folder = measured(tmp_path, study_of())
    folder.open(study_of(**{table: {key: value}}))
    assert folder.study().tables()[table][key] == value


@pytest.mark.parametrize(
    ("table", "key", "value", "shown"),
    [
        ("search", "seed", 1, "search.seed = 0, now it is 1"),
        ("search", "sampler", "random", "search.sampler = auto, now it is random"),
        ("search", "objective", "sts", "search.objective = mean, now it is sts"),
        ("search", "grace_epochs", 2, "search.grace_epochs = 1.0, now it is 2.0"),
        ("data", "train", 128, "data.train = 64, now it is 128"),
        ("encoder", "name", "other", "encoder.name = minilm, now it is other"),
        ("space", "epochs", 5, "space.epochs = 4, now it is 5"),
        ("space", "jaccard", [True], r"space.jaccard = \[True, False\], now it is \[True\]"),
        ("resources", "precision", "bf16", "resources.precision = fp32, now it is bf16"),
    ],
)
def test_what_decides_the_numbers_may_not_change(
    tmp_path: Path, table: str, key: str, value: object, shown: str
) -> None:
    folder = measured(tmp_path, study_of())
    before = folder.file.read_text()
    with pytest.raises(UserError, match=f"{shown}: .* --dir"):
        folder.open(study_of(**{table: {key: value}}))
    assert folder.file.read_text() == before


def test_where_nothing_can_be_written_is_one_sentence(tmp_path: Path) -> None:
    # A file in the way, since nothing is forbidden to root.
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        folder = StudyFolder(path)
        with pytest.raises(UserError, match="Cannot write to"), folder.locked():
            pass
        with pytest.raises(UserError, match="Cannot write to"):
            folder.open(study_of())


def test_a_folder_without_a_study_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no study's folder: it has no study\.toml"):
        StudyFolder(tmp_path).study()


SOURCE = Source(name="sts-dev.csv", file="of the file", examples="of the examples")
SETTING = Setting(
    data_path="/there",
    encoder_name="minilm",
    made={},
    sources={"sts/dev": SOURCE},
    weights="of the weights",
    shape={"layers": 6},
    tokenizer="of the tokenizer",
    precision="fp32",
    surroundings={"torch": "2.13.0"},
)
OTHER_DATA = dataclasses.replace(
    SETTING, sources={"sts/dev": dataclasses.replace(SOURCE, file="another", examples="others")}
)


def at(path: str, **changes: dict[str, Any]) -> StudyFile:
    """With data in files, which are known by content where the setting is."""
    return study_of(data={"path": path}, **changes)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (OTHER_DATA, "sts-dev.csv has changed since"),
        (dataclasses.replace(SETTING, weights="others"), "the encoder's weights have changed"),
        (dataclasses.replace(SETTING, precision="bf16"), "the precision was fp32 and is bf16"),
    ],
)
def test_what_changed_on_disk_is_named_and_refused(tmp_path: Path, now: Setting, said: str) -> None:
    folder = measured(tmp_path, at("/there"), SETTING)
    with pytest.raises(UserError, match=rf"cannot go on: {said}.*--dir\.$"):
        folder.open(at("/there"), now)
    assert folder.setting() == SETTING


def test_the_same_content_elsewhere_goes_on(tmp_path: Path) -> None:
    folder = measured(tmp_path, at("/there"), SETTING)
    moved = at("/elsewhere", encoder={"name": "/models/the-same"})
    assert folder.open(moved, dataclasses.replace(SETTING, data_path="/elsewhere")) == []
    assert folder.study().data.path == "/elsewhere"
    assert folder.setting() == SETTING
    with pytest.raises(
        UserError, match=r"sts-dev\.csv has changed since it was begun \(data /ther"
    ):
        folder.open(at("/third"), OTHER_DATA)


def test_other_surroundings_are_told_and_nothing_more(tmp_path: Path) -> None:
    folder = measured(tmp_path, at("/there"), SETTING)
    newer = dataclasses.replace(SETTING, surroundings={"torch": "2.14.0"})
    (told,) = folder.open(at("/there"), newer)
    assert "may change scores a little: torch: 2.13.0, now 2.14.0." in told


def test_a_folder_of_an_earlier_version_takes_up_what_it_finds(tmp_path: Path) -> None:
    folder = measured(tmp_path, at("/there"))
    assert folder.setting() is None
    (told,) = folder.open(at("/there"), SETTING)
    assert told.startswith("An earlier version of ablatune began the study in")
    assert folder.setting() == SETTING
    assert folder.open(at("/there"), SETTING) == []
    with pytest.raises(UserError, match="has changed"):
        folder.open(at("/there"), OTHER_DATA)


def test_auto_is_what_the_trials_were_trained_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auto = at("/there", resources={"precision": "auto"})
    folder = StudyFolder(tmp_path / "new")
    assert folder.precision(auto) is None
    assert folder.precision(at("/there")) == "fp32"
    for precision in ("fp32", "bf16"):
        setting = dataclasses.replace(SETTING, precision=precision)
        folder = measured(tmp_path / precision, auto, setting)
        assert folder.precision(auto) == precision
    # Of an earlier version, it is what the hardware has.
    folder = measured(tmp_path / "old", auto)
    for has, precision in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr("search.trials.study_folder.has_bf16", lambda has=has: has)
        assert folder.precision(auto) == precision


def test_what_no_trial_has_measured_with_binds_nobody(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    folder.open(at("/nope"))
    folder.open(at("/there", space={"epochs": 3}), SETTING)
    assert folder.study().data.path == "/there"
    assert folder.open(at("/there", search={"seed": 4}), OTHER_DATA) == []
    assert folder.setting() == OTHER_DATA
    assert folder.study().search.seed == 4


def test_trials_that_measured_nothing_are_put_aside_when_the_study_changes(tmp_path: Path) -> None:
    study = at("/there", search={"sampler": "random", "trials": 2})
    folder = StudyFolder(tmp_path)
    folder.open(study, SETTING)
    ledger = Ledger(study, folder)
    failed, begun = ledger.next(), ledger.next()
    assert failed is not None
    assert begun is not None
    ledger.end(failed.id, "out of memory")
    folder.trial(failed.id).start(study.space.config(failed.values))
    folder.open(study, SETTING)  # nothing differs: they stand
    assert len(Ledger(study, folder).records) == 2
    other = at("/there", search={"sampler": "random", "trials": 2}, space={"batch_size": 16})
    changes = [(other, SETTING, "space.batch_size"), (other, OTHER_DATA, "sts-dev.csv has changed")]
    for number, (now, setting, why) in enumerate(changes, start=1):
        (told,) = folder.open(now, setting)
        assert "it begins anew" in told
        assert why in told
        aside = tmp_path / "unmeasured" / str(number)
        assert str(aside) in told
        assert (aside / folder.journal.name).exists()
        again = Ledger(now, folder)
        assert again.records == {}
        assert again.next() is not None
    assert (tmp_path / "unmeasured" / "1" / "trials" / failed.id / "config.toml").exists()


def test_scores_in_the_journal_alone_bind(tmp_path: Path) -> None:
    study = at("/there", search={"sampler": "random"})
    folder = StudyFolder(tmp_path)
    folder.open(study, SETTING)
    ledger = Ledger(study, folder)
    trial = ledger.next()
    assert trial is not None
    assert not folder.is_binding
    ledger.report(trial.id, 1, 0.5)
    assert folder.is_binding
    with pytest.raises(UserError, match="has changed"):
        folder.open(study, OTHER_DATA)


def test_a_setting_that_says_nothing_is_one_sentence(tmp_path: Path) -> None:
    folder = measured(tmp_path, at("/there"), SETTING)
    for content in ("", "precision = 1", "[data\n", "\x00"):
        folder.setting_file.write_text(content)
        with pytest.raises(UserError, match=r"setting\.toml does not say .* remove that file"):
            folder.open(at("/there"), SETTING)


@pytest.mark.parametrize(
    ("kept", "lacks"),
    [("", "encoder"), ("[encoder]", "data"), ("[encoder][data][space]", "search")],
)
def test_a_stored_study_that_was_cut_short_is_not_taken_for_another(
    kept: str, lacks: str, tmp_path: Path
) -> None:
    folder = StudyFolder(tmp_path / "s")
    folder.open(parse_study({"space": {"epochs": 3}}, "s", "s"))
    folder.file.write_text(kept.replace("[", "\n["))
    with pytest.raises(UserError, match=rf"has no table \[{lacks}\]: it was emptied or cut short"):
        folder.study()
