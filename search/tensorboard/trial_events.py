"""What TensorBoard shows of a study: its hyperparameters, and each trial's metrics by epoch.

A study's folder `trials/` is TensorBoard's log directory: the study's domains and metrics are in
its root run, each trial is a run below, and HParams calls a trial by its folder's name. Neither
torch nor TensorFlow is needed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tensorboard.compat.proto.event_pb2 import SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.hparams.summary_v2 import hparams_pb

from search.tensorboard.event_file import EVENT_FILES, EventFile, cut_after, next_name
from search.tensorboard.hparams import hparams_of, shown_factors
from spaces.domains import Domain

Status: TypeAlias = Literal["waiting", "running", "paused", "completed", "stopped", "failed"]

# The scheduler stops a trial on purpose, so that is a success too. A trial that may go on has no
# end: TensorBoard believes the first end that it reads of a run and ignores later ones.
_ENDS = {
    "completed": api_pb2.STATUS_SUCCESS,
    "stopped": api_pb2.STATUS_SUCCESS,
    "failed": api_pb2.STATUS_FAILURE,
}


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
            cut_after(path, restored_step)
        self.path = folder / next_name(earlier)
        self._file = EventFile(self.path)
        # Cutting the files is not enough for a TensorBoard that has read them already.
        start = SessionLog(status=SessionLog.START)
        self._file.write(restored_step + 1, session_log=start)
        # No group: HParams then takes the run for one, and two studies' trials never share one.
        self._file.write(0, summary=hparams_pb(shown_factors(config, domains or {}), trial_id=""))
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
    file = EventFile(folder / next_name(earlier))
    file.write(0, summary=_end(status))
    file.close()


def _end(status: Status) -> Any:
    end = plugin_data_pb2.SessionEndInfo(status=_ENDS[status], end_time_secs=time.time())
    return hparams_of(metadata.SESSION_END_INFO_TAG, session_end_info=end)
