"""What the tests of many trials share: a tiny encoder and studies that take seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spaces import StudyFile, parse_study
from tests.tiny_encoder import save_tiny_encoder

Tables = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random BERT of two layers that knows the words of the embedded data."""
    return save_tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture(scope="session")
def tiny_tables(tiny_encoder: Path) -> Callable[..., Tables]:
    """Makes the tables of a study whose trials take about a second; a table given by name is
    laid over the usual one."""

    def tables(**changes: dict[str, Any]) -> Tables:
        usual: Tables = {
            "encoder": {"name": str(tiny_encoder)},
            "data": {"train": 64, "dev": 32},
            "space": {"epochs": 3, "samples_per_epoch": 32, "batch_size": 8, "max_length": 32},
            "search": {"trials": 6},
            "resources": {"precision": "fp32"},
        }
        return {name: {**values, **changes.get(name, {})} for name, values in usual.items()}

    return tables


@pytest.fixture(scope="session")
def tiny_study(tiny_tables: Callable[..., Tables]) -> Callable[..., StudyFile]:
    """`tiny_tables` as a study."""

    def study(name: str = "tiny", **changes: dict[str, Any]) -> StudyFile:
        return parse_study(tiny_tables(**changes), name, name)

    return study


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """A Ray cluster of this process alone, for every test that trains on one."""
    import ray

    from search.nodes.ray_folder import ray_folder

    with ray_folder() as folder:
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"env_vars": {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}},
            _temp_dir=str(folder),
        )
        yield
        ray.shutdown()
