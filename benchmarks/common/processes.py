"""What a process holds: memory of its own, and open files."""

from __future__ import annotations

import os
import re
from pathlib import Path


def private_bytes(process: int | None = None) -> int:
    """Memory that no other process shares ("USS"), of this process where None. Linux only."""
    rollup = Path(f"/proc/{process or os.getpid()}/smaps_rollup").read_text(encoding="ascii")
    sizes = re.findall(r"^Private_\w+: +(\d+) kB", rollup, re.MULTILINE)
    return 1024 * sum(map(int, sizes))


def open_files(process: int | None = None) -> int:
    """Open file descriptors, sockets and pipes included."""
    return len(list(Path(f"/proc/{process or os.getpid()}/fd").iterdir()))
