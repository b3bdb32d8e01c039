"""What TensorBoard shows of a study: its hyperparameters, and each trial's metrics by epoch.

A study's folder `trials/` is TensorBoard's log directory: the study's domains and metrics are in
its root run, each trial is a run below, and HParams calls a trial by its folder's name. Neither
torch nor TensorFlow is needed.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from spaces.domains import Choice, Domain, Interval, IntInterval, Simplex, toml_text

EVENT_FILES = "events.out.tfevents.*"
Status: TypeAlias = Literal["waiting", "running", "paused", "completed", "stopped", "failed"]
Shown: TypeAlias = bool | float | str  # what HParams can show

# The scheduler stops a trial on purpose, so that is a success too. A trial that may go on has no
# end: TensorBoard believes the first end that it reads of a run and ignores later ones.
_ENDS = {
    "completed": api_pb2.STATUS_SUCCESS,
    "stopped": api_pb2.STATUS_SUCCESS,
    "failed": api_pb2.STATUS_FAILURE,
}


def write_experiment(folder: Path, domains: Mapping[str, Domain], metrics: Sequence[str]) -> None:
    """Declare a study's factors and the metrics worth a column, replacing an earlier declaration.

    Args:
        folder: the study's `trials/`.
        domains: the free factors; a simplex becomes one column `factor.name` a weight.
        metrics: tags as in `TrialEvents.epoch`; those left out stay scalars only.
    """
    columns = [info for name, domain in domains.items() for info in _columns(name, domain)]
    names = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in metrics]
    _replace_experiment(folder, columns, names)


def merge_experiments(folder: Path, studies: Sequence[Path]) -> None:
    """Declare in `folder` every factor and metric that one of the `studies` declares.

    TensorBoard reads a single declaration of all that it shows, so several studies need one in
    common. A factor whose domains differ has none there: its column takes any value.
    """
    columns: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    for experiment in filter(None, map(_read_experiment, studies)):
        metrics |= {info.name.tag: info for info in experiment.metric_infos}
        for info in experiment.hparam_infos:
            known = columns.setdefault(info.name, info)
            if known != info:
                kind = known.type if known.type == info.type else api_pb2.DATA_TYPE_STRING
                columns[info.name] = _column(info.name, kind)
    if columns:
        _replace_experiment(folder, list(columns.values()), list(metrics.values()))


class TrialEvents:
    """Writes one trial's run: its configuration, its metrics by epoch, how it ended."""

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, object],
        domains: Mapping[str, Domain] | None = None,
        restored_step: int = 0,
    ) -> None:
        """Open a new event file in the trial's folder.

        Args:
            folder: the trial's own folder, made if it does not exist.
            config: the trial's values; None, for a factor without effect, is left out.
            domains: as given to `write_experiment`, which the values are shown like.
            restored_step: the step that a resumed trial continues after; what was written of
                later ones is dropped.
        """
        folder.mkdir(parents=True, exist_ok=True)
        earlier = sorted(folder.glob(EVENT_FILES))
        for path in earlier:
            _cut(path, restored_step)
        self.path = folder / _next_name(earlier)
        self._file = _EventFile(self.path)
        # Cutting the files is not enough for a TensorBoard that has read them already.
        start = SessionLog(status=SessionLog.START)
        self._file.write(restored_step + 1, session_log=start)
        # No group: HParams then takes the run for one, and two studies' trials never share one.
        self._file.write(0, summary=hparams_pb(_shown(config, domains or {}), trial_id=""))
        self._file.flush()

    def epoch(
        self, epoch: int, metrics: Mapping[str, float], wall_time: float | None = None
    ) -> None:
        """Write one scalar a metric at `epoch` (from 1), for a live TensorBoard to see.

        Args:
            epoch: the trial's own count of epochs, or of steps where those have several.
            metrics: value by tag, for example `score/mean` or `train_loss/sst`.
            wall_time: seconds since 1970; now if left out.
        """
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in metrics.items()]
        self._file.write(epoch, wall_time, summary=Summary(value=values))
        self._file.flush()

    def close(self, status: Status) -> None:
        """Write how the trial ended, nothing for one that may go on; again, it does nothing."""
        if self._file.closed:
            return
        if status in _ENDS:
            self._file.write(0, summary=_end(status))
        self._file.close()


def end_run(folder: Path, status: Status) -> None:
    """Write how a trial ended, after whatever process wrote its epochs."""
    earlier = sorted(folder.glob(EVENT_FILES))
    if status not in _ENDS or not earlier:
        return
    file = _EventFile(folder / _next_name(earlier))
    file.write(0, summary=_end(status))
    file.close()


def _end(status: Status) -> Any:
    end = plugin_data_pb2.SessionEndInfo(status=_ENDS[status], end_time_secs=time.time())
    return _hparams(metadata.SESSION_END_INFO_TAG, session_end_info=end)


def _shown(config: Mapping[str, object], domains: Mapping[str, Domain]) -> dict[str, Shown]:
    """The values as HParams shows them, in the types that `_columns` declares."""
    shown: dict[str, Shown] = {}
    for name, value in config.items():
        domain = domains.get(name)
        if value is None:
            continue
        if isinstance(domain, Simplex) and isinstance(value, list | tuple):
            weights = zip(domain.names, value, strict=True)
            shown |= {f"{name}.{component}": weight for component, weight in weights}
        elif isinstance(value, bool | int | float) and not _is_text(domain):
            shown[name] = value
        else:
            shown[name] = _text(value)
    return shown


def _columns(name: str, domain: Domain) -> list[Any]:
    """The HParamInfo messages of a factor; one with no domain takes any value."""
    if isinstance(domain, Simplex):
        weights = [_interval(f"{name}.{component}", 0, 1) for component in domain.names]
        for weight in weights:
            # TensorBoard ticks five columns at first, those that "differ" before the others: the
            # factors should be among them, not all the weights of one.
            weight.differs = False
        return weights
    if isinstance(domain, Interval | IntInterval):
        return [_interval(name, domain.low, domain.high)]
    info = _column(name, api_pb2.DATA_TYPE_STRING)
    if isinstance(domain, Choice):
        if _is_text(domain):
            info.domain_discrete.extend(_text(option) for option in domain.options)
        else:
            boolean = isinstance(domain.options[0], bool)
            info.type = api_pb2.DATA_TYPE_BOOL if boolean else api_pb2.DATA_TYPE_FLOAT64
            info.domain_discrete.extend(domain.options)
    return [info]


def _interval(name: str, low: float, high: float) -> Any:
    bounds = api_pb2.Interval(min_value=low, max_value=high)
    return _column(name, api_pb2.DATA_TYPE_FLOAT64, domain_interval=bounds)


def _column(name: str, kind: int, **domain: Any) -> Any:
    return api_pb2.HParamInfo(name=name, type=kind, differs=True, **domain)


def _is_text(domain: Domain | None) -> bool:
    """Whether a choice is shown as text: a column has one type, and no column holds tuples."""
    if not isinstance(domain, Choice):
        return False
    kinds = {type(option) for option in domain.options}
    return kinds != {bool} and not kinds <= {int, float}


def _text(value: object) -> str:
    return value if isinstance(value, str) else toml_text(value)


def _hparams(tag: str, **content: Any) -> Any:
    """A message to the HParams plugin, which travels as the metadata of an empty tensor."""
    about = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(**content))
    return Summary(value=[Summary.Value(tag=tag, metadata=about, tensor=metadata.NULL_TENSOR)])


class _EventFile:
    """An event file written in the caller's thread: no thread to leak, and a flush is a flush."""

    def __init__(self, path: Path) -> None:
        self._records = RecordWriter(path.open("xb"))
        self.write(0, file_version="brain.Event:2")

    def write(self, step: int, wall_time: float | None = None, **content: Any) -> None:
        now = time.time() if wall_time is None else wall_time
        self._records.write(Event(wall_time=now, step=step, **content).SerializeToString())

    def flush(self) -> None:
        self._records.flush()

    def close(self) -> None:
        self._records.close()

    @property
    def closed(self) -> bool:
        return bool(self._records.closed)


def _next_name(earlier: Sequence[Path]) -> str:
    """A name after all `earlier` ones: TensorBoard reads a run's files in the order of names."""
    seconds = int(time.time())
    for path in earlier:
        # A resumed trial may start within the second, or on a machine whose clock is behind.
        seconds = max(seconds, int(path.name.split(".")[3]) + 1)
    return EVENT_FILES.replace("*", f"{seconds:010d}.{socket.gethostname()}.{os.getpid()}")


def _cut(path: Path, step: int) -> None:
    """Cut an event file before what comes after `step`: later epochs, the end, a torn record."""
    with path.open("r+b") as stream:
        end = 0
        for event, event_end in _read(path):
            tags = {value.tag for value in event.summary.value}
            if event.step > step or metadata.SESSION_END_INFO_TAG in tags:
                break
            end = event_end
        stream.truncate(end)


def _read(path: Path) -> Iterator[tuple[Any, int]]:
    """The whole events of a file, up to a torn one, each with the offset of its end in bytes.

    A record is its length (8 bytes), that one's checksum (4), the event, and its checksum (4).
    """
    content, start = path.read_bytes(), 0
    while start + 16 <= len(content):
        length, checksum = struct.unpack_from("<QI", content, start)
        end = start + 16 + length
        if checksum != masked_crc32c(content[start : start + 8]) or end > len(content):
            return
        event = content[start + 12 : end - 4]
        if content[end - 4 : end] != struct.pack("<I", masked_crc32c(event)):
            return
        yield Event.FromString(event), end
        start = end


def _replace_experiment(folder: Path, columns: list[Any], metrics: list[Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / EVENT_FILES.replace("*", "0.study")
    unfinished = folder / f".study.{os.getpid()}"  # a name that TensorBoard does not read
    unfinished.unlink(missing_ok=True)
    file = _EventFile(unfinished)
    experiment = api_pb2.Experiment(
        hparam_infos=columns, metric_infos=metrics, time_created_secs=time.time()
    )
    file.write(0, summary=_hparams(metadata.EXPERIMENT_TAG, experiment=experiment))
    file.close()
    unfinished.replace(path)


def _read_experiment(folder: Path) -> Any:
    """The declaration that `write_experiment` wrote to a folder, or None."""
    for path in sorted(folder.glob(EVENT_FILES)):
        for event, _ in _read(path):
            for value in event.summary.value:
                if value.tag == metadata.EXPERIMENT_TAG:
                    content = value.metadata.plugin_data.content
                    return metadata.parse_experiment_plugin_data(content)
    return None
