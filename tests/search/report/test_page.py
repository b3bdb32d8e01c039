"""The report's files, from studies whose journals and metrics were really written."""

from __future__ import annotations

import csv
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from search.analysis.basis import common_epoch
from search.ledger.ledger import Ledger
from search.report.charts import LEFT, RIGHT, learning_curves
from search.report.write import write_report
from search.trials.journal_file import read_records
from search.trials.record import Record
from search.trials.study_folder import StudyFolder
from spaces import StudyFile, UserError, load_study, parse_study

REASON = 'epoch 2: <script>alert("no")</script> & so on'
MIXED = {
    "space": {
        "epochs": 9,
        "pooling": ["mean", "cls"],
        "loss_weighting": ["equal", "tuned"],
        "loss_weights": "free",
        "encoder_learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
        "seed": 7,
    },
    "search": {"trials": 12, "sampler": "random"},
}


class Page(HTMLParser):
    """What the tests ask of a page: its text, its addresses, and that every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def metrics(mean: float, spread: float = 0.1) -> dict[str, float]:
    scores = {"sst": mean - spread, "para": mean + spread, "sts": mean, "mean": mean}
    return {
        **{f"train_loss/{name}": 1 - score for name, score in scores.items() if name != "mean"},
        **{f"score/{name}": score for name, score in scores.items()},
        "seconds": 1.25,
    }


def run_epochs(ledger: Ledger, trial: Record, scores: list[float]) -> None:
    """What a worker and the driver do, until the scheduler says stop."""
    folder = ledger.folder.trial(trial.id)
    folder.start(ledger.study.space.config(trial.values))
    for epoch, score in enumerate(scores, start=1):
        folder.record(epoch, metrics(score))
        if not ledger.report(trial.id, epoch, score):
            return


def new_study(path: Path, study: StudyFile) -> tuple[StudyFolder, Ledger]:
    folder = StudyFolder(path)
    folder.open(study)
    return folder, Ledger(study, folder)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """Twelve trials: the scheduler stops some, the fourth fails after an epoch."""
    path = tmp_path_factory.mktemp("studies") / "mixed"
    folder, ledger = new_study(path, parse_study(MIXED, "mixed", "the test"))
    while (trial := ledger.next()) is not None:
        base = 0.5 + 0.05 * math.sin(37 * int(trial.id)) + 0.1 * (trial.values["pooling"] == "cls")
        full = [base + 0.01 * epoch for epoch in range(1, 10)]
        if trial.id == "0003":
            run_epochs(ledger, trial, [0.9])
            ledger.end(trial.id, REASON)
        else:
            run_epochs(ledger, trial, full)
            ledger.end(trial.id)
    write_report(folder)
    return folder


def read_csv(folder: StudyFolder, name: str) -> list[dict[str, str]]:
    with (folder.report / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_page(folder: StudyFolder) -> Page:
    page = Page((folder.report / "index.html").read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_trials_csv_holds_what_was_measured(mixed: StudyFolder) -> None:
    records = {r.id: r for r in read_records(mixed.journal, mixed.study().space)}
    rows = read_csv(mixed, "trials.csv")
    assert [row["id"] for row in rows] == list(records)
    assert {row["state"] for row in rows} == {"completed", "stopped", "failed"}
    for row in rows:
        record = records[row["id"]]
        assert row["state"] == record.state
        assert row["pooling"] == record.values["pooling"]
        assert float(row["encoder_learning_rate"]) == record.values["encoder_learning_rate"]
        weights = record.values.get("loss_weights", ("", "", ""))
        names = ("sst", "para", "sts")
        assert [row[f"loss_weights.{name}"] for name in names] == [str(w) for w in weights]
        assert int(row["last_epoch"]) == record.epoch
        assert float(row["last_score"]) == record.last_score
        assert float(row["score/mean"]) == record.last_score
        assert float(row["best_score"]) == record.best_score
        assert float(row["seconds"]) == 1.25 * record.epoch
    assert rows[3]["failure"] == REASON


def test_epochs_csv_holds_every_epoch(mixed: StudyFolder) -> None:
    records = read_records(mixed.journal, mixed.study().space)
    rows = read_csv(mixed, "epochs.csv")
    found = {(row["id"], int(row["epoch"])): float(row["score/mean"]) for row in rows}
    assert found == {(r.id, epoch): score for r in records for epoch, score in r.scores.items()}
    assert float(rows[0]["train_loss/sst"]) == 1 - float(rows[0]["score/sst"])


def test_effects_come_from_the_one_epoch_that_all_reached(mixed: StudyFolder) -> None:
    records = read_records(mixed.journal, mixed.study().space)
    assert common_epoch(records) == 1  # the failed trial's only one, and the first rung
    rows = read_csv(mixed, "effects.csv")
    assert {row["epoch"] for row in rows} == {"1"}
    for option in ("mean", "cls"):
        first = [r.scores[1] for r in records if r.values["pooling"] == option]
        (row,) = [
            r
            for r in rows
            if r["factor"] == "pooling" and r["level"] == option and not r["against"]
        ]
        assert int(row["count"]) == len(first)
        assert float(row["mean"]) == pytest.approx(sum(first) / len(first))
    assert {row["factor"] for row in rows} >= {"loss_weights.sst", "encoder_learning_rate"}
    assert "After epoch 1, all 12 trials, one seed each." in read_page(mixed).text


def test_the_page_stands_alone_and_names_every_trial(mixed: StudyFolder) -> None:
    html = (mixed.report / "index.html").read_text(encoding="utf-8")
    page = read_page(mixed)
    assert page.addresses == ["data:,"]
    assert "http" not in html.replace("http-equiv", "")
    assert "url(" not in html
    assert "@import" not in html
    assert str(mixed.path) not in html
    for row in read_csv(mixed, "trials.csv"):
        assert f" {row['id']} " in page.text
        assert f"<title>trial {row['id']}, {row['state']}: " in html
    assert "Quora" in page.text
    assert "The grid" not in page.text


def test_the_page_escapes_what_others_wrote(mixed: StudyFolder) -> None:
    html = (mixed.report / "index.html").read_text(encoding="utf-8")
    assert html.count("<script>") == 1  # the page's own
    assert REASON in read_page(mixed).text


def test_the_best_is_shown_as_a_study_file_has_it(mixed: StudyFolder) -> None:
    page = read_page(mixed)
    best = max(
        (row for row in read_csv(mixed, "trials.csv") if row["state"] == "completed"),
        key=lambda row: float(row["last_score"]),
    )
    assert f"Best configuration: trial {best['id']}" in page.text
    (snippet,) = [text for text in page.texts if text.startswith("[space]")]
    (mixed.path / "best.toml").write_text(snippet, encoding="utf-8")
    space = load_study(mixed.path / "best.toml").space
    assert not space.free
    assert space.fixed["encoder_learning_rate"] == float(best["encoder_learning_rate"])
    assert space.fixed["seed"] == 7


def test_epochs_spent_are_counted_against_no_stopping(mixed: StudyFolder) -> None:
    rows = read_csv(mixed, "trials.csv")
    spent = sum(int(row["last_epoch"]) for row in rows)
    unstopped = 9 * 11 + 1  # the failed trial would have failed all the same
    assert f"{spent} of {unstopped}" in read_page(mixed).text
    assert spent < unstopped


def test_a_grid_is_shown_in_the_form_of_the_papers_table(tmp_path: Path) -> None:
    study = load_study("paper16", ["epochs=1"])
    folder, ledger = new_study(tmp_path / "paper16", study)
    while (trial := ledger.next()) is not None:
        run_epochs(ledger, trial, [0.6 + 0.1 * trial.values["shared_pair_head"]])
        ledger.end(trial.id)
    write_report(folder)
    page = read_page(folder)
    assert "The grid" in page.text
    assert "shared_pair_head loss_weighting extra_data SST PARA STS mean" in page.text
    assert "true minus false = +0.100" in page.text
    assert "mean true report true 0.600 0.800 0.700 0.700" in page.text
    differences = [row for row in read_csv(folder, "effects.csv") if row["against"]]
    assert {row["count"] for row in differences} == {"8"}
    assert differences[0]["factor"] == "shared_pair_head"
    assert float(differences[0]["mean"]) == pytest.approx(0.1)


def test_parts_of_epochs_are_in_the_report(tmp_path: Path) -> None:
    tables = {
        "space": {"epochs": 2, "jaccard": [True, False]},
        "search": {"trials": 2, "grace_epochs": 0.25},
    }
    folder, ledger = new_study(tmp_path / "parts", parse_study(tables, "parts", "the test"))
    for scores in ({0.25: 0.5, 0.75: 0.6, 1: 0.7, 2: 0.65}, {0.25: 0.4}):
        trial = ledger.next()
        assert trial is not None
        folder.trial(trial.id).start(ledger.study.space.config(trial.values))
        for epoch, score in scores.items():
            folder.trial(trial.id).record(epoch, metrics(score))
            ledger.report(trial.id, epoch, score)
        ledger.end(trial.id)
    write_report(folder)
    text = read_page(folder).text
    assert "rungs at 0.25, 0.75" in text
    assert "2.25 of 4 epochs trained" in text
    assert "After epoch 0.25, all 2 trials" in text
    assert [row["last_epoch"] for row in read_csv(folder, "trials.csv")] == ["2", "0.25"]
    epochs = [row["epoch"] for row in read_csv(folder, "epochs.csv")]
    assert epochs == ["0.25", "0.75", "1", "2", "0.25"]
    records = read_records(folder.journal, ledger.study.space)
    for curve in learning_curves(records, 2, "0000").curves:
        assert curve.points[0][0] == LEFT
        assert all(LEFT <= x <= RIGHT for x, _ in curve.points)


def test_a_study_without_trials_has_a_report(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "empty")
    folder.open(load_study("quickstart"))
    assert write_report(folder) == folder.report / "index.html"
    assert "No trial has started yet" in read_page(folder).text
    assert read_csv(folder, "trials.csv") == []


def test_a_running_search_has_a_report(tmp_path: Path) -> None:
    folder, ledger = new_study(tmp_path / "running", load_study("quickstart"))
    first, second = ledger.next(), ledger.next()
    assert first is not None
    assert second is not None
    run_epochs(ledger, first, [0.5, 0.6])
    # Measured by the worker, not yet told to the driver.
    folder.trial(first.id).record(3, metrics(0.7))
    write_report(folder)
    text = read_page(folder).text
    assert "Some trials have not ended" in text
    assert "No trial has completed: this one leads" in text
    assert "0.600" in text
    assert not list(folder.report.glob(".*"))


def test_a_folder_without_a_study_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no study's folder"):
        write_report(StudyFolder(tmp_path))
