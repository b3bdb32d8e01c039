"""What TensorBoard's own reader finds in what was written."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import (
    EventAccumulator as ServerAccumulator,
)
from tensorboard.plugins.hparams import metadata

from search.tensorboard.event_file import EVENT_FILES
from search.tensorboard.experiment import merge_experiments, write_experiment
from search.tensorboard.trial_events import Status, TrialEvents, end_run
from spaces.domains import Choice, Domain, Interval, IntInterval, Simplex

WEIGHTS = Simplex(("sst", "para", "sts"))


def scalars(folder: Path, tag: str = "score/mean") -> list[tuple[int, float]]:
    reader = EventAccumulator(str(folder))
    reader.Reload()
    return [(event.step, round(event.value, 4)) for event in reader.Scalars(tag)]


def hparams_content(folder: Path) -> dict[str, bytes]:
    reader = ServerAccumulator(str(folder))
    reader.Reload()
    content: dict[str, bytes] = reader.PluginTagToContent(metadata.PLUGIN_NAME)
    return content


def shown(folder: Path) -> dict[str, object]:
    content = hparams_content(folder)[metadata.SESSION_START_INFO_TAG]
    values = metadata.parse_session_start_info_plugin_data(content).hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in values.items()}


def declared(folder: Path) -> dict[str, object]:
    content = hparams_content(folder)[metadata.EXPERIMENT_TAG]
    domains: dict[str, object] = {}
    for info in metadata.parse_experiment_plugin_data(content).hparam_infos:
        match info.WhichOneof("domain"):
            case "domain_discrete":
                domains[info.name] = list(info.domain_discrete)
            case "domain_interval":
                domains[info.name] = (
                    info.domain_interval.min_value,
                    info.domain_interval.max_value,
                )
            case None:
                domains[info.name] = None
    return domains


def end_status(folder: Path) -> str | None:
    content = hparams_content(folder).get(metadata.SESSION_END_INFO_TAG)
    if content is None:
        return None
    end = metadata.parse_session_end_info_plugin_data(content)
    return str(end.DESCRIPTOR.fields_by_name["status"].enum_type.values_by_number[end.status].name)


def test_needs_neither_torch_nor_tensorflow_and_does_not_warn() -> None:
    code = (
        "import search.tensorboard.trial_events, search.tensorboard.server, sys; "
        "assert not {'torch', 'tensorflow', 'ray', 'optuna'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)


def test_each_domain_is_declared_in_its_kind(tmp_path: Path) -> None:
    domains: dict[str, Domain] = {
        "pooling": Choice(("mean", "cls")),
        "jaccard": Choice((False, True)),
        "warmup": Choice((0, 0.1)),
        "trainable_layers": Choice(("all", 1, 4)),
        "loss_weights": WEIGHTS,
        "rate": Interval(1e-6, 1e-3, log=True),
        "batch_size": IntInterval(8, 64),
        "presets": Choice(((0.5, 0.5), (1.0, 0.0))),
    }
    write_experiment(tmp_path, domains, ["score/mean"])
    assert declared(tmp_path) == {
        "pooling": ["mean", "cls"],
        "jaccard": [False, True],
        "warmup": [0, 0.1],
        "trainable_layers": ["all", "1", "4"],
        "loss_weights.sst": (0, 1),
        "loss_weights.para": (0, 1),
        "loss_weights.sts": (0, 1),
        "rate": (1e-6, 1e-3),
        "batch_size": (8, 64),
        "presets": ["[0.5, 0.5]", "[1.0, 0.0]"],
    }


def test_a_second_declaration_replaces_the_first(tmp_path: Path) -> None:
    write_experiment(tmp_path, {"dropout": Interval(0, 0.5)}, ["score/mean"])
    write_experiment(tmp_path, {"pooling": Choice(("mean",))}, ["score/mean"])
    assert declared(tmp_path) == {"pooling": ["mean"]}
    assert len(list(tmp_path.iterdir())) == 1


def test_several_studies_share_one_declaration(tmp_path: Path) -> None:
    dropout, pooling = Interval(0, 0.5), Choice(("mean", "cls"))
    write_experiment(tmp_path / "a", {"dropout": dropout, "pooling": pooling}, ["score/mean"])
    write_experiment(tmp_path / "b", {"dropout": Choice((0.1,)), "pooling": pooling}, ["score/sst"])
    merge_experiments(tmp_path, [tmp_path / "a", tmp_path / "b", tmp_path / "undeclared"])
    assert declared(tmp_path) == {"dropout": None, "pooling": ["mean", "cls"]}
    content = hparams_content(tmp_path)[metadata.EXPERIMENT_TAG]
    infos = metadata.parse_experiment_plugin_data(content).metric_infos
    assert [info.name.tag for info in infos] == ["score/mean", "score/sst"]


def test_values_keep_their_types(tmp_path: Path) -> None:
    config = {
        "jaccard": True,
        "batch_size": 32,
        "pooling": "mean",
        "trainable_layers": 4,
        "loss_weights": (0.5, 0.3, 0.2),
        "head_dropout": None,
    }
    domains: dict[str, Domain] = {"trainable_layers": Choice(("all", 4)), "loss_weights": WEIGHTS}
    TrialEvents(tmp_path, config, domains).close("completed")
    values = shown(tmp_path)
    assert values == {
        "jaccard": True,
        "batch_size": 32.0,
        "pooling": "mean",
        "trainable_layers": "4",
        "loss_weights.sst": 0.5,
        "loss_weights.para": 0.3,
        "loss_weights.sts": 0.2,
    }
    assert isinstance(values["jaccard"], bool)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("completed", "STATUS_SUCCESS"),
        ("stopped", "STATUS_SUCCESS"),
        ("failed", "STATUS_FAILURE"),
        ("running", None),
        ("waiting", None),
    ],
)
def test_the_end_is_told_once(tmp_path: Path, status: Status, expected: str | None) -> None:
    events = TrialEvents(tmp_path, {})
    events.close(status)
    events.close("failed")
    assert end_status(tmp_path) == expected


def test_another_process_can_tell_the_end(tmp_path: Path) -> None:
    end_run(tmp_path, "failed")
    assert list(tmp_path.iterdir()) == []
    write_epochs(tmp_path, range(1, 3), 0.25)
    end_run(tmp_path, "running")
    assert end_status(tmp_path) is None
    end_run(tmp_path, "stopped")
    assert end_status(tmp_path) == "STATUS_SUCCESS"
    assert scalars(tmp_path) == [(1, 0.25), (2, 0.25)]
    write_epochs(tmp_path, range(3, 4), 0.25)
    assert end_status(tmp_path) is None


def test_an_epoch_is_readable_before_the_trial_ends(tmp_path: Path) -> None:
    events = TrialEvents(tmp_path, {})
    events.epoch(1, {"score/mean": 0.5}, wall_time=12.0)
    assert scalars(tmp_path) == [(1, 0.5)]
    events.close("completed")


def write_epochs(folder: Path, epochs: range, value: float, status: Status = "running") -> None:
    """A part of a trial; while it is running, its file is what a killed process leaves."""
    events = TrialEvents(folder, {"first": epochs[0]}, restored_step=epochs[0] - 1)
    for epoch in epochs:
        events.epoch(epoch, {"score/mean": value})
    events.close(status)


def test_an_epoch_written_again_after_a_resume_is_shown_once(tmp_path: Path) -> None:
    write_epochs(tmp_path, range(1, 4), 0.25)  # epoch 3 came after the last checkpoint
    write_epochs(tmp_path, range(3, 5), 0.5, "completed")
    assert scalars(tmp_path) == [(1, 0.25), (2, 0.25), (3, 0.5), (4, 0.5)]


def test_epochs_after_the_checkpoint_go_as_soon_as_a_trial_resumes(tmp_path: Path) -> None:
    write_epochs(tmp_path, range(1, 4), 0.25)
    TrialEvents(tmp_path, {}, restored_step=2).close("running")
    assert scalars(tmp_path) == [(1, 0.25), (2, 0.25)]


def test_a_trial_resumed_again_further_back_shows_only_what_counts(tmp_path: Path) -> None:
    write_epochs(tmp_path, range(1, 4), 0.25)
    write_epochs(tmp_path, range(3, 6), 0.5)
    write_epochs(tmp_path, range(2, 4), 0.75)
    assert scalars(tmp_path) == [(1, 0.25), (2, 0.75), (3, 0.75)]
    write_epochs(tmp_path, range(1, 2), 1.0)
    assert scalars(tmp_path) == [(1, 1.0)]
    assert shown(tmp_path) == {"first": 1.0}


@pytest.mark.parametrize("reader_type", [EventAccumulator, ServerAccumulator])
def test_a_reader_that_saw_the_dropped_epochs_forgets_them(
    tmp_path: Path, reader_type: type[EventAccumulator]
) -> None:
    write_epochs(tmp_path, range(1, 6), 0.25)
    reader = reader_type(str(tmp_path))
    reader.Reload()
    write_epochs(tmp_path, range(3, 4), 0.5)
    reader.Reload()
    is_plain = reader_type is EventAccumulator
    events = reader.Scalars("score/mean") if is_plain else reader.Tensors("score/mean")
    assert [event.step for event in events] == [1, 2, 3]


def test_a_failed_trial_that_is_tried_again_can_succeed(tmp_path: Path) -> None:
    write_epochs(tmp_path, range(1, 2), 0.25, "failed")
    write_epochs(tmp_path, range(2, 3), 0.5, "completed")
    assert end_status(tmp_path) == "STATUS_SUCCESS"
    assert scalars(tmp_path) == [(1, 0.25), (2, 0.5)]


@pytest.mark.parametrize("tear", [1, 7, 30])
def test_a_record_torn_by_a_crash_does_not_hide_what_follows(tmp_path: Path, tear: int) -> None:
    write_epochs(tmp_path, range(1, 3), 0.25)
    [path] = tmp_path.glob(EVENT_FILES)
    os.truncate(path, path.stat().st_size - tear)
    write_epochs(tmp_path, range(2, 3), 0.5)
    assert scalars(tmp_path) == [(1, 0.25), (2, 0.5)]


def test_a_resume_where_the_clock_is_behind_is_read_last(tmp_path: Path) -> None:
    write_epochs(tmp_path, range(1, 2), 0.25)
    [path] = tmp_path.glob(EVENT_FILES)
    path.rename(path.with_name("events.out.tfevents.9000000000.other-host.1"))
    write_epochs(tmp_path, range(2, 3), 0.5)
    assert scalars(tmp_path) == [(1, 0.25), (2, 0.5)]


def test_two_hundred_trials_leave_no_thread_and_no_open_file(tmp_path: Path) -> None:
    open_files = Path("/proc/self/fd")
    if not open_files.is_dir():
        pytest.skip("counts open files in /proc")
    before = threading.active_count(), len(list(open_files.iterdir()))
    for number in range(200):
        events = TrialEvents(tmp_path / f"{number}", {"seed": number})
        events.epoch(1, {"score/mean": 0.5})
        assert threading.active_count() == before[0]
        events.close("completed")
    assert (threading.active_count(), len(list(open_files.iterdir()))) == before
