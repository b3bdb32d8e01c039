"""What a launcher tells each process of a training: which of how many it is, and where they meet.

It does so in environment variables, which Accelerate and PyTorch read. Other programs leave some of
them behind in a shell or a batch job: there they count only where all are there and make sense.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import timedelta

from torch.distributed import TCPStore  # type: ignore[attr-defined]

from model.machine.cpus import usable_cpus

# Which process of how many it is, here and on its machine, as different launchers call it.
_PLACES = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_RANK"),
)
_ON_ITS_MACHINE = (
    "LOCAL_WORLD_SIZE",
    "MPI_LOCALNRANKS",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "MV2_COMM_WORLD_LOCAL_SIZE",
)
_MEETING = ("MASTER_ADDR", "MASTER_PORT")
_OTHERS = ("FORK_LAUNCHED", "GROUP_RANK", "GROUP_WORLD_SIZE")
USE_CPU, _THREADS = "ACCELERATE_USE_CPU", "OMP_NUM_THREADS"
_MEETING_SECONDS = 600.0


@dataclass(frozen=True)
class Launch:
    """One process of a training of several, or one that a launcher started alone."""

    rank: int
    processes: int
    local_rank: int
    """Among those on its machine that see the same devices."""
    address: str
    port: int
    local_processes: int = 1
    is_hosted: bool = False
    """Whether somebody else than process 0 listens at the port already."""

    def environment(self) -> dict[str, str]:
        """As `torchrun` sets it."""
        return {
            "RANK": str(self.rank),
            "WORLD_SIZE": str(self.processes),
            "LOCAL_RANK": str(self.local_rank),
            "LOCAL_WORLD_SIZE": str(self.local_processes),
            "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self.port),
            "TORCHELASTIC_USE_AGENT_STORE": str(self.is_hosted),
        }


class Meeting:
    """A port of this machine at which the processes of a training meet (`is_hosted`). It is bound
    from the beginning and for as long as this is kept: nobody else can take it in between."""

    def __init__(self, address: str) -> None:
        wait = timedelta(seconds=_MEETING_SECONDS)
        self._store = TCPStore(address, 0, is_master=True, wait_for_workers=False, timeout=wait)
        self.port: int = self._store.port


def launched(environment: Mapping[str, str]) -> Launch | None:
    """What a launcher has said, None where it is not all of what a training needs to know."""
    address, port = (environment.get(name, "") for name in _MEETING)
    for names in _PLACES:
        rank, processes, local_rank, number = (
            _number(environment.get(name, "")) for name in (*names, "MASTER_PORT")
        )
        if rank is None or processes is None or local_rank is None or number is None:
            continue
        if not (address and rank < processes and 0 < number < 1 << 16):
            continue
        sizes = (_number(environment.get(name, "")) for name in _ON_ITS_MACHINE)
        return Launch(
            rank,
            processes,
            local_rank,
            address,
            int(port),
            next((size for size in sizes if size), 1),
            environment.get("TORCHELASTIC_USE_AGENT_STORE") == str(True),
        )
    return None


def settle(environment: MutableMapping[str, str], launch: Launch | None) -> list[str]:
    """Leave in the environment what `launch` says, and nothing else that Accelerate or PyTorch
    would take for a launcher's word or for a part of a trial's configuration.

    Returns:
        The names that spoke of several processes, where `launch` is none.
    """
    ranks = [name for names in _PLACES for name in names]
    alone = {name: "1" if name.endswith("SIZE") else "0" for name in ranks}
    ignored = [name for name in ranks if environment.get(name, alone[name]) != alone[name]]
    accelerate = [name for name in environment if name.startswith("ACCELERATE_")]
    for name in (*ranks, *_ON_ITS_MACHINE, *_MEETING, *_OTHERS, *accelerate):
        environment.pop(name, None)
    if launch is None:
        for name in [name for name in environment if name.startswith("TORCHELASTIC_")]:
            del environment[name]
        return ignored
    environment.update(launch.environment())
    environment.setdefault("TORCHELASTIC_RESTART_COUNT", "0")
    # Without it, or with a list of numbers, Accelerate counts by itself, and not well.
    threads = _number(environment.get(_THREADS, "").partition(",")[0])
    environment[_THREADS] = str(threads or max(1, usable_cpus() // launch.local_processes))
    return []


def wants_cpu(environment: Mapping[str, str]) -> bool:
    """Whether `accelerate launch --cpu` was asked for, whatever devices there are."""
    return environment.get(USE_CPU, "").lower() in ("1", "true", "t", "yes", "y", "on")


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() else None
