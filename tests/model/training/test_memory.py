"""What a training holds has a bound, however many shapes of batches it meets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CAPACITIES = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"}

# Updates of batches that all have another number of tokens and other groups of sentences, more than
# fill the libraries' caches: MiB of its own that the process holds more after each third of them.
MANY_SHAPES = """
import threading

import numpy as np
import torch

from benchmarks.common.processes import private_bytes
from model.machine.device import make_accelerator
from model.encoder.bert import Encoder, EncoderShape
from model.layers.packing import pack

def train():
    accelerator = make_accelerator("bf16")
    encoder = Encoder(EncoderShape(vocabulary=8, hidden=64, layers=1, heads=2, intermediate=128))
    held = [private_bytes()]
    lengths = np.random.default_rng(0).integers(1, 96, (120, 12))
    for update, sentences in enumerate(lengths):
        packed = pack([np.zeros(length, dtype=np.int64) for length in sentences])
        with accelerator.autocast():
            states = encoder(packed)
        accelerator.backward(states.float().square().mean())
        if update % 40 == 39:
            held.append(private_bytes())
    print(*((after - before) / 2**20 for before, after in zip(held, held[1:])))

torch.set_num_threads(1)
trial = threading.Thread(target=train)  # as a worker trains
trial.start()
trial.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="private memory is read from /proc")
def test_memory_stops_growing_where_every_update_has_new_shapes() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in CAPACITIES}
    done = subprocess.run(
        [sys.executable, "-c", MANY_SHAPES],
        cwd=ROOT,
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    _, *later = map(float, done.stdout.split())
    assert max(later) < 32, done.stdout
