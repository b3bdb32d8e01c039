"""Many trials: study, sampler, scheduler, TensorBoard, analysis, report, the command line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import ablatune  # noqa: F401, before all of ours: it says where they are found

# Ray reads these when it is imported: no telemetry, no wall of log lines, nothing of Tune's own on
# disk, a trial that failed may report no score, time for a trial's thread to end before its worker
# takes the next one, and signals and workers' errors are left to us.
for _name, _value in {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}.items():
    os.environ.setdefault(_name, _value)

if TYPE_CHECKING:
    from search.study import Study

__all__ = ["Study"]


def __getattr__(name: str) -> Any:
    """`Study` is imported when it is asked for: `ablatune --help` has no need of torch and Ray."""
    if name == "Study":
        from search.study import Study

        return Study
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
