"""What Ray's workers import: what the driver has imported."""

from __future__ import annotations

from ray.job_config import JobConfig

import ablatune


class OwnImports(JobConfig):  # type: ignore[misc]
    """Puts the folder of our packages first on the workers' path, and nothing else on it.

    Ray itself puts the driver's working folder there, and with it whatever `model.py`, `random.py`
    or `torch/` the user has in it. On a node without this folder, the packages are found where they
    are installed.
    """

    def __init__(self) -> None:
        super().__init__(_py_driver_sys_path=[ablatune.ROOT])

    def _runtime_env_has_working_dir(self) -> bool:
        """Then Ray adds no folder of its own."""
        return True
