"""Describes the machine that a measurement was made on."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch

_TELLING = ("avx2", "avx512_f", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_fp16")


def machine() -> dict[str, Any]:
    """The processor, what it multiplies in hardware, and the version of torch."""
    has = torch.cpu.get_capabilities()
    return {
        "cpu": _cpu_name(),
        "capabilities": [name for name in _TELLING if has.get(name)],
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
