"""The one run that tells TensorBoard which hyperparameters and metrics a study has."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboard.plugins.hparams import api_pb2, metadata

from search.tensorboard.event_file import EVENT_FILES, EventFile, read_events
from search.tensorboard.hparams import hparam_column, hparam_columns, hparams_of
from spaces.domains import Domain


def write_experiment(folder: Path, domains: Mapping[str, Domain], metrics: Sequence[str]) -> None:
    """Declare a study's factors and the metrics worth a column, replacing an earlier declaration.

    Args:
        folder: the study's `trials/`.
        domains: the free factors; a simplex becomes one column `factor.name` a weight.
        metrics: tags as in `TrialEvents.epoch`; those left out stay scalars only.
    """
    columns = [info for name, domain in domains.items() for info in hparam_columns(name, domain)]
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
                columns[info.name] = hparam_column(info.name, kind)
    if columns:
        _replace_experiment(folder, list(columns.values()), list(metrics.values()))


def _replace_experiment(folder: Path, columns: list[Any], metrics: list[Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    from model import replace_whole  # here, for it brings torch, which events do not need

    path = folder / EVENT_FILES.replace("*", "0.study")
    experiment = api_pb2.Experiment(
        hparam_infos=columns, metric_infos=metrics, time_created_secs=time.time()
    )

    def write(unfinished: Path) -> None:
        file = EventFile(unfinished)
        file.write(0, summary=hparams_of(metadata.EXPERIMENT_TAG, experiment=experiment))
        file.close()

    replace_whole(path, write, can_be_made_again=True)


def _read_experiment(folder: Path) -> Any:
    """The declaration that `write_experiment` wrote to a folder, or None."""
    for path in sorted(folder.glob(EVENT_FILES)):
        for event, _ in read_events(path):
            for value in event.summary.value:
                if value.tag == metadata.EXPERIMENT_TAG:
                    content = value.metadata.plugin_data.content
                    return metadata.parse_experiment_plugin_data(content)
    return None
