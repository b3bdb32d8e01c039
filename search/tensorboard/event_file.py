"""One run's event file, appended to and cut."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.plugins.hparams import metadata
from tensorboard.summary.writer.record_writer import RecordWriter

EVENT_FILES = "events.out.tfevents.*"


class EventFile:
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


def next_name(earlier: Sequence[Path]) -> str:
    """A name after all `earlier` ones: TensorBoard reads a run's files in the order of names."""
    seconds = int(time.time())
    for path in earlier:
        # A resumed trial may start within the second, or on a machine whose clock is behind.
        seconds = max(seconds, int(path.name.split(".")[3]) + 1)
    return EVENT_FILES.replace("*", f"{seconds:010d}.{socket.gethostname()}.{os.getpid()}")


def cut_after(path: Path, step: int) -> None:
    """Cut an event file before what comes after `step`: later epochs, the end, a torn record."""
    with path.open("r+b") as stream:
        end = 0
        for event, event_end in read_events(path):
            tags = {value.tag for value in event.summary.value}
            if event.step > step or metadata.SESSION_END_INFO_TAG in tags:
                break
            end = event_end
        stream.truncate(end)


def read_events(path: Path) -> Iterator[tuple[Any, int]]:
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
