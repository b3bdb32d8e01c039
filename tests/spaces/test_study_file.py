"""A study file is read, overridden and written out again without a change of meaning."""

from __future__ import annotations

import shlex
import tomllib
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from spaces import (
    EMBEDDED,
    MINILM,
    STUDIES,
    TASKS,
    Choice,
    Domain,
    Interval,
    IntInterval,
    Key,
    Simplex,
    StudyFile,
    Text,
    Texts,
    UserError,
    Value,
    factors,
    keys,
    load_study,
    parse_overrides,
    parse_study,
    study_schema,
    toml_text,
)
from spaces.settings import TABLES
from tests.tries import tries

PACKAGED = ("paper16", "paper16-continuous", "quickstart", "wide")


def parsed(**document: Any) -> StudyFile:
    return parse_study(document, "mine", "mine.toml")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An empty study file in a folder of its own."""
    (tmp_path / "studies").mkdir()
    path = tmp_path / "studies" / "mine.toml"
    path.write_text("")
    return path


# Reading


@pytest.mark.parametrize("name", PACKAGED)
def test_a_packaged_study_loads_by_name_and_by_file(name: str) -> None:
    study = load_study(name)
    assert study.name == name
    assert study.space.free
    assert load_study(STUDIES / f"{name}.toml") == study


def test_these_are_all_packaged_studies() -> None:
    assert sorted(path.stem for path in STUDIES.glob("*.toml")) == list(PACKAGED)


def test_paper16_is_the_sixteen_configurations_of_the_report() -> None:
    study = load_study("paper16")
    points = list(study.space.grid())
    names = ("pooling", "shared_pair_head", "loss_weighting", "extra_data")
    values = (("mean", "cls"), (False, True), ("equal", "report"), (False, True))
    expected = [dict(zip(names, point, strict=True)) for point in product(*values)]
    assert len(points) == len(expected) == 16
    assert all(point in expected for point in points)
    assert all(point in points for point in expected)
    assert set(study.space.fixed) == set(factors()) - set(names)
    assert (study.search.sampler, study.search.scheduler) == ("grid", "none")
    assert study.search.trials == 16


def test_wide_frees_every_factor_but_those_of_the_budget_and_the_form_of_the_pair() -> None:
    fixed = set(load_study("wide").space.fixed)
    assert {"samples_per_epoch", "epochs", "seed"} <= fixed
    assert fixed <= {"samples_per_epoch", "epochs", "seed", "pair_features"}


def test_an_empty_file_is_a_study_of_defaults(file: Path) -> None:
    study = load_study(file)
    assert study == StudyFile("mine")
    assert study.epochs == factors()["epochs"].default


def test_a_study_that_does_not_exist_is_told_the_packaged_ones() -> None:
    with pytest.raises(
        UserError, match=r"no study file nope; name a TOML file, or one of .*paper16"
    ):
        load_study("nope")


@pytest.mark.parametrize("content", [b"[search\ntrials = 1", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_one_sentence(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"mine\.toml is not a TOML file: "):
        load_study(file)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[search]\ntrials = " + "9" * 4301, "an integer in it has more than 4300 digits"),
        ("[search]\ntrials = " + "[" * 5000, "something in it is nested too deeply"),
        ("[search]\ntrials = 1\ntrials = 2", "Cannot overwrite a value"),
        ("[search]\ntrials = 2024-13-01", "Expected newline"),
    ],
)
def test_odd_toml_is_one_short_sentence(file: Path, content: str, says: str) -> None:
    file.write_text(content)
    with pytest.raises(UserError, match=rf"mine\.toml is not a TOML file: .*{says}") as error:
        load_study(file)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    "value",
    [
        '"' + "many" * 2000 + '"',
        "[" + "1, " * 2000 + "]",
        "0x" + "f" * 5000,  # no limit of digits, but Python does not write it as a decimal
        "9" * 4300,
        "nan",
        "-inf",
        "1979-05-27T07:32:00Z",
        "{" + ", ".join(f"k{n} = {n}" for n in range(2000)) + "}",
        "[" * 60 + "]" * 60,
    ],
)
@pytest.mark.parametrize("key", ["search.trials", "search.sampler", "data.path", "pooling"])
def test_a_value_that_is_odd_or_huge_is_one_short_sentence(
    file: Path, key: str, value: str
) -> None:
    if key == "data.path":  # a folder may be called anything
        assert load_study(file, [f"{key}={value}"]).data.path.startswith("/")
    for content, overrides in ((f"{key} = {value}", []), ("", [f"{key}={value}"])):
        if key == "data.path" and (overrides or value.startswith('"')):
            continue
        file.write_text(content if "." in key else f"[space]\n{content}")
        with pytest.raises(UserError, match=key.rpartition(".")[2]) as error:
            load_study(file, overrides)
        assert len(str(error.value)) < 500
        assert "\n" not in str(error.value)


def test_a_byte_order_mark_is_no_mistake(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf[search]\r\ntrials = 3\r\n")
    assert load_study(file).search.trials == 3


def test_a_folder_and_what_cannot_be_read_are_one_sentence(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="studies is a folder, not a study file; name a TOML file"):
        load_study(file.parent)
    (file.parent / "study.toml").touch()
    with pytest.raises(UserError, match=r"is a folder, not a study file; name its study\.toml"):
        load_study(file.parent)
    with pytest.raises(
        UserError, match=r"Cannot read xxx.* \.\.\. \(5000 char.*File name too long"
    ):
        load_study("x" * 5000)

    def refused(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(UserError, match=r"Cannot read .*mine\.toml: Permission denied\."):
        load_study(file)


def test_a_path_that_no_file_can_hold_is_refused(file: Path) -> None:
    for path in ('"a\\u0000b"', "caf\udce9"):  # the second is what an argument in Latin-1 becomes
        with pytest.raises(UserError, match="path must be "):
            load_study(file, [f"data.path={path}"])
    link = file.parent / "loop"
    link.symlink_to(link)
    with pytest.raises(UserError, match=r"data\.path: .*loop/x is a link that leads to itself"):
        load_study(file, [f"data.path={link}/x"])


def test_a_line_break_in_an_override_sets_no_second_key() -> None:
    with pytest.raises(UserError, match=r"trials must be an integer .*, but it is "):
        load_study("quickstart", ["search.trials=8\nother=3"])


# What has no effect


def test_what_else_to_set_where_a_free_factor_loses_its_effect() -> None:
    """The sentence has the options that put it right."""
    for study, change in (
        ("quickstart", "pair_encoding=joint"),
        ("wide", "trainable_layers=none"),
        ("wide", "smart=false"),
        ("wide", "extra_data=true"),
    ):
        with pytest.raises(UserError) as error:
            load_study(study, [change])
        assert "no effect here" in str(error.value)
        words = shlex.split(str(error.value).partition(": --set ")[2].removesuffix("."))
        fixes = [word for word in words if word != "--set"]
        assert fixes
        fixed = load_study(study, [change, *fixes]).space.fixed
        assert {fix.partition("=")[0] for fix in fixes} <= fixed.keys()


# A value other than the default, and what keeps it from acting.
IDLE: dict[str, tuple[Value, dict[str, Value]]] = {
    "pair_features": ("difference", {"pair_encoding": "joint"}),
    "similarity": ("head", {"shared_pair_head": True}),
    "loss_weights": ([0.2, 0.4, 0.4], {}),
    "extra_share": (0.2, {"extra_data": True}),
    "lora_rank": (8, {"trainable_layers": 2}),
    "encoder_learning_rate": (1e-4, {"trainable_layers": "none"}),
    "layer_decay": (0.9, {"trainable_layers": [1, "none"]}),
    "unfreezing": ("gradual", {"trainable_layers": 1}),
    "reinitialized_layers": (2, {"lora_rank": [4, 8]}),
    "gradient_surgery": ("pcgrad", {"sampling": "annealed"}),
    "head_dropout": (0.2, {"head": "linear"}),
    "smart": (True, {"trainable_layers": "none"}),
    "smart_weight": (2.0, {}),
    "smart_radius": (0.1, {}),
    "smart_noise": (0.1, {}),
    "smart_step_size": (0.1, {}),
    "smart_steps": (2, {"smart": [False]}),
    "bregman_weight": (2.0, {}),
    "bregman_momentum": (0.9, {}),
    "samples_per_epoch": (64, {"sampling": "sequential"}),
}


def test_every_factor_with_a_condition_is_among_these() -> None:
    assert set(IDLE) == {name for name, factor in factors().items() if factor.when}


@pytest.mark.parametrize("name", list(IDLE))
def test_a_value_that_cannot_act_is_one_sentence(file: Path, name: str) -> None:
    value, others = IDLE[name]
    says = (
        rf"mine\.toml.*: {name} is set to .* but has no effect here, where .*: it acts only where"
    )
    with pytest.raises(UserError, match=says):
        parsed(space={name: value, **others})
    # On the command line too; but the default is no wish, nor what the command line makes idle.
    file.write_text(tomli_w.dumps({"space": others}))
    with pytest.raises(UserError, match=says):
        load_study(file, [f"{name}={toml_text(value)}"])
    load_study(file, [f"{name}={toml_text(factors()[name].default)}"])
    if others:
        acts = {c.factor: c.among[0] for c in factors()[name].when}
        file.write_text(tomli_w.dumps({"space": {name: value, **acts}}))
        made = load_study(file, [f"{factor}={toml_text(v)}" for factor, v in others.items()])
        assert not made.space.can_be_active(name)


def test_a_study_that_was_written_out_may_hold_what_cannot_act(file: Path) -> None:
    tables = load_study("quickstart").tables()
    tables["space"]["loss_weights"] = [0.2, 0.4, 0.4]
    file.write_text(tomli_w.dumps(tables))
    assert load_study(file).space.fixed["loss_weights"] == (0.2, 0.4, 0.4)
    del tables["space"]["early_stopping"]  # an earlier version, without this factor
    file.write_text(tomli_w.dumps(tables))
    assert load_study(file, stored=True).space.fixed["loss_weights"] == (0.2, 0.4, 0.4)
    with pytest.raises(UserError, match="loss_weights is set to"):
        load_study(file)
    with pytest.raises(UserError, match="extra_share is set to"):
        load_study(file, ["extra_share=0.1"], stored=True)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"serch": {}}, r"Unknown table 'serch' in mine\.toml; did you mean 'search'\?"),
        ({"search": 3}, r"mine\.toml: search must be a table, written \[search\]\."),
        ({"space": []}, r"mine\.toml: space must be a table, written \[space\]\."),
        (
            {"search": {"trails": 3}},
            r"Unknown key 'trails' in mine\.toml \[search\]; did you mean 'trials'\?",
        ),
        (
            {"search": {"trials": 0}},
            r"mine\.toml \[search\]: trials must be an integer from 1 to 1000000, but it is 0\.",
        ),
        ({"search": {"sampler": "tep"}}, 'must be one of "auto", "gp", .*, but it is "tep"'),
        ({"space": {"poling": "cls"}}, r"'poling' in mine\.toml \[space\]; did you mean 'pooling'"),
        ({"data": {"path": 3}}, "path must be .*a folder with the CS 224N files, but it is 3"),
        ({"search": {"grace_epochs": 5}, "space": {"epochs": 4}}, "grace_epochs .*, but 5 > 4"),
        (
            {"search": {"grace_epochs": 1.5}, "space": {"epochs": 1}},
            r"grace_epochs must be at most space\.epochs, but 1\.5 > 1\.",
        ),
        (
            {"search": {"grace_epochs": 0}},
            r"grace_epochs must be a number from 0\.001 to 10000, but it is 0\.",
        ),
        ({"search": {"grace_epochs": "half"}}, 'grace_epochs must be a number .* it is "half"'),
        (
            {
                "search": {"grace_epochs": 0.25},
                "space": {"samples_per_epoch": [128, 4096], "batch_size": [16, 33]},
            },
            r"search\.grace_epochs must be at least one update, but 0\.25 of samples_per_epoch 128 "
            r"is less than batch_size 33\.",
        ),
        (
            {"search": {"sampler": "grid"}, "space": {"warmup": "free"}},
            "A grid needs a list of values .* for every free factor, but warmup is a number",
        ),
    ],
)
def test_a_mistake_in_a_study_is_one_sentence(document: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        parsed(**document)


@pytest.mark.parametrize(
    ("grace", "space"),
    [
        (0.25, {"samples_per_epoch": [4096, 128], "batch_size": [32, 16]}),
        (0.5, {"samples_per_epoch": {"low": 64, "high": 128}, "batch_size": 32}),
        (1, {"samples_per_epoch": 16, "batch_size": 64}),  # one update is the least there is
        (2.5, {"epochs": 3}),
        # An epoch is all data, whatever the samples.
        (0.001, {"sampling": "sequential", "batch_size": 32}),
    ],
)
def test_a_first_rung_of_an_update_or_more_is_accepted(grace: float, space: dict[str, Any]) -> None:
    assert parsed(search={"grace_epochs": grace}, space=space).search.grace_epochs == grace


# Writing


def values_in(key: Key) -> st.SearchStrategy[Value]:
    match key.domain:
        case Choice(options):
            return st.sampled_from(options)
        case Interval(low, high):
            return st.floats(low, high)
        case IntInterval(low, high):
            return st.integers(low, high)
        case Simplex() as simplex:
            return st.tuples(*[st.floats(0, 1)] * simplex.free_numbers).map(
                lambda unit: list(simplex.weights(unit))
            )
        case Texts():
            return st.lists(st.sampled_from(["/a", "/b c"]), max_size=2)
        case Text():
            return st.text('ab é"\\\n/~', min_size=1).filter(str.strip)
    raise TypeError(key)


def freed(key: Key) -> st.SearchStrategy[Value]:
    lists = st.lists(values_in(key), min_size=1, max_size=3, unique_by=repr)
    forms: st.SearchStrategy[Value] = lists | st.just("free")
    if isinstance(key.domain, Interval | IntInterval):
        bounds = st.tuples(values_in(key), values_in(key)).map(sorted)
        forms |= bounds.map(lambda ends: {"low": ends[0], "high": ends[1]})
        forms |= bounds.map(lambda ends: {"low": ends[0], "high": ends[1], "log": False})
    return forms


def with_conditions(document: dict[str, Any]) -> dict[str, Any]:
    """The document, changed so that every factor in it can act and a first rung is reached."""
    space = document.setdefault("space", {})
    for name, factor in factors().items():
        if name in space:
            space.update({condition.factor: condition.among[0] for condition in factor.when})
    document.get("search", {}).pop("grace_epochs", None)
    return document


DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        **{
            table: st.fixed_dictionaries(
                {}, optional={name: values_in(key) for name, key in keys(cls).items()}
            )
            for table, cls in TABLES.items()
        },
        "space": st.fixed_dictionaries(
            {},
            optional={
                name: values_in(key) | freed(key) if key.searchable else values_in(key)
                for name, key in factors().items()
            },
        ),
    },
).map(with_conditions)
SCHEMA = Draft202012Validator(study_schema())


@settings(max_examples=tries(50))
@given(DOCUMENTS)
def test_a_study_written_out_and_read_again_is_equal(document: dict[str, Any]) -> None:
    try:
        study = parsed(**document)
    except UserError:  # a grid of intervals, 0.0 and -0.0 in a list, no log scale from 0
        reject()
    written = tomllib.loads(tomli_w.dumps(study.tables()))
    again = parsed(**written)
    assert again == study
    assert list(again.space.free) == list(study.space.free)
    assert again.tables() == study.tables()
    assert SCHEMA.is_valid(written)


@pytest.mark.parametrize("name", PACKAGED)
def test_a_packaged_study_written_out_and_read_again_is_equal(name: str) -> None:
    study = load_study(name)
    assert parse_study(tomllib.loads(tomli_w.dumps(study.tables())), name, name) == study


def test_a_written_study_says_everything_so_that_defaults_may_change() -> None:
    tables = load_study("quickstart").tables()
    assert list(tables["space"]) == list(factors())
    for table, cls in TABLES.items():
        required = [name for name, key in keys(cls).items() if not key.optional]
        assert set(required) <= set(tables[table])


# Overrides


def test_an_override_sets_a_key_of_any_table() -> None:
    study = load_study(
        "quickstart",
        [
            "search.trials=8",
            "resources.processes = 2",
            "space.jaccard=false",
            'pooling=["cls", "max"]',
            "head=linear",
            "encoder_learning_rate={low=1e-5, high=1e-4}",
        ],
    )
    assert study.search.trials == 8
    assert study.resources.processes == 2
    assert study.space.fixed["jaccard"] is False
    assert study.space.fixed["head"] == "linear"
    assert study.space.free["pooling"] == Choice(("cls", "max"))
    assert study.space.free["encoder_learning_rate"] == Interval(1e-5, 1e-4, log=True)
    assert study.space.free["shared_pair_head"] == Choice((True, False))  # as in the file


def test_of_two_overrides_of_a_key_the_last_one_holds() -> None:
    assert parse_overrides(["search.trials=8", "search.trials=9"]) == {"search": {"trials": 9}}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("data.path=../shared/data", "../shared/data"),
        ('data.path="../shared/data"', "../shared/data"),
        ("data.path=C:\\data", "C:\\data"),
        ("data.path=a=b", "a=b"),
        ("data.path=2024", "2024"),
        ("data.path=2024-01-01", "2024-01-01"),
        ("data.path=true", "true"),
    ],
)
def test_a_path_needs_no_quotes(text: str, path: str) -> None:
    assert parse_overrides([text]) == {"data": {"path": path}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("trials", "--set trials: write KEY=VALUE, for example"),
        ("serch.trials=8", "Unknown table 'serch' in --set serch.trials=8; did you mean 'search'"),
        ("search.trails=8", "Unknown key 'search.trails' in .*; did you mean 'search.trials'"),
        ("trials=8", "Unknown key 'trials' in --set trials=8; did you mean 'search.trials'"),
        ("gpus=1", r"Unknown key 'gpus' in --set gpus=1; .* resources\.gpus"),
        ("hed=linear", "Unknown key 'hed' in --set hed=linear; did you mean 'head'"),
        ("space.hed=linear", "Unknown key 'space.hed' in .*; did you mean 'space.head'"),
        ("search.trials.x=8", "Unknown key 'search.trials.x' in .*; did you mean 'search.trials'"),
        ("=8", "Unknown key '' in --set =8"),
    ],
)
def test_an_override_of_nothing_is_told_the_nearest_name(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse_overrides([text])


def test_the_value_of_an_override_is_checked() -> None:
    with pytest.raises(UserError, match=r'trials must be an integer from .*, but it is "many"'):
        load_study("quickstart", ["search.trials=many"])


def test_an_override_of_what_should_be_a_table_is_one_sentence(file: Path) -> None:
    file.write_text("search = 3")
    with pytest.raises(UserError, match=r"search must be a table, written \[search\]"):
        load_study(file, ["search.trials=8"])


# Folders


def test_a_folder_in_a_file_counts_from_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file.write_text('data.path = "../data"\nencoder.name = "bert"')
    (file.parent / "bert").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    study = load_study(file)
    assert study.data.path == str(tmp_path / "data")
    assert study.encoder.name == str(file.parent / "bert")


def test_a_folder_in_an_override_counts_from_the_working_directory(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    (work / "bert").mkdir(parents=True)
    monkeypatch.chdir(work)
    study = load_study(file, ["data.path=../data", "encoder.name=./bert"])
    assert study.data.path == str(tmp_path / "data")
    assert study.encoder.name == str(work / "bert")


def test_a_folder_may_start_at_home(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_study(file, ["data.path=~/data"]).data.path == str(tmp_path / "data")
    with pytest.raises(UserError, match=r"data\.path: there is no home folder for ~no-such-user/x"):
        load_study(file, ["data.path=~no-such-user/x"])


def test_an_id_on_the_hub_is_left_alone(file: Path) -> None:
    assert load_study(file, ["encoder.name=google/bert_mini"]).encoder.name == "google/bert_mini"


def test_what_is_packaged_is_meant_even_where_a_folder_has_its_name(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder in (tmp_path, file.parent):
        for name in (EMBEDDED, MINILM):
            (folder / name).mkdir()
    monkeypatch.chdir(tmp_path)
    file.write_text(f'data.path = "{EMBEDDED}"\nencoder.name = "{MINILM}"')
    for overrides in ([], [f"data.path={EMBEDDED}", f"encoder.name={MINILM}"]):
        study = load_study(file, overrides)
        assert (study.data.path, study.encoder.name) == (EMBEDDED, MINILM)


def test_the_objective_is_the_mean_or_one_task() -> None:
    domain: Domain = keys(TABLES["search"])["objective"].domain
    assert domain.levels == ("mean", *TASKS)
