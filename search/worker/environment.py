"""The environment variables of every process that trains, set before it starts."""

from __future__ import annotations

WORKER_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # a waiting thread must not hold a core that a trial needs
    "TOKENIZERS_PARALLELISM": "false",
    "RAY_AIR_NEW_OUTPUT": "0",
    "THP_MEM_ALLOC_ENABLE": "1",  # large pages: a new network's memory is there sooner
}
