"""Which precision is faster here, as `precision = "auto"` asks.

A CPU that names bf16 among its instructions need not be faster in it. So a few passes of the real
encoder over real examples are timed in both. On a GPU the hardware's word is taken.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor

from model.data.batches import epoch_batches
from model.data.corpus import Corpus
from model.encoder.pretrained import Pretrained
from model.layers.packing import Packed
from model.machine.device import bound_caches, has_bf16, release_memory
from model.material import Material
from model.network.network import Network, build_network
from model.tasks.shipped import ALL_TASKS
from spaces import Config, StudyFile

PRECISIONS = FP32, BF16 = "fp32", "bf16"

_SECONDS = 1.0  # of all updates that are timed, at least
_AN_UPDATE = 0.4  # seconds, about: of a large encoder it has fewer examples
_FEW = 4  # examples a task
_WORTH = 1.05  # times faster that bf16 must be


def in_precision(study: StudyFile, precision: str) -> StudyFile:
    """A study whose trials compute in a precision that is not "auto" any more."""
    return replace(study, resources=replace(study.resources, precision=precision))


def faster_precision(study: StudyFile, material: Material, gpu: bool) -> str:
    """What "auto" means on this machine, "fp32" or "bf16": the precision that is the faster one
    for a study with its data and encoder, on the machine's GPU or on its CPU."""
    if not has_bf16(gpu):
        return FP32
    if gpu:
        return BF16
    config, threads = study.space.config(), study.resources.cpus
    return faster(*time_precisions(config, material.corpus, material.encoder, threads))


def faster(fp32: float, bf16: float) -> str:
    """Of the seconds of an update in each; fp32 is exact, so bf16 has to be worth it."""
    return BF16 if bf16 * _WORTH < fp32 else FP32


def time_precisions(
    config: Config, corpus: Corpus, encoder: Pretrained, threads: int
) -> tuple[float, float]:
    """The seconds of the same updates of a configuration on the CPU, in fp32 and in bf16; takes a
    second or two."""
    bound_caches()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            network = build_network(config, ALL_TASKS, encoder).train()
            fp32, bf16 = _time(network, config, corpus)
    finally:
        torch.set_num_threads(before)
    del network
    release_memory()
    return fp32, bf16


def _time(network: Network, config: Config, corpus: Corpus) -> tuple[float, float]:
    few = _packed(config, corpus, _FEW)
    for _ in range(2):  # The first loads and prepares what the second and all others need.
        warm = {precision: _update(network, few, precision) for precision in PRECISIONS}
    examples = int(max(_FEW, min(config.batch_size, _FEW * _AN_UPDATE / max(warm.values()))))
    packed = _packed(config, corpus, examples)
    for precision in PRECISIONS:
        _update(network, packed, precision)
    seconds: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    end = time.perf_counter() + _SECONDS
    while True:
        for precision in PRECISIONS:  # in turns: other load meets both
            seconds[precision].append(_update(network, packed, precision))
        if time.perf_counter() >= end:
            return _typical(seconds[FP32]), _typical(seconds[BF16])


def _typical(seconds: Sequence[float]) -> float:
    """The median of the faster half, which other load has disturbed least."""
    return median(sorted(seconds)[: (len(seconds) + 1) // 2])


def _packed(config: Config, corpus: Corpus, examples: int) -> Packed:
    """The sequences of one update."""
    small = config.replace(batch_size=examples)
    batch = next(epoch_batches(small, ALL_TASKS, corpus, 1, torch.device("cpu"), end=1))
    assert not isinstance(batch.sentences, Tensor)
    return batch.sentences


def _update(network: Network, packed: Packed, precision: str) -> float:
    """The seconds of one forward and, where the encoder is trained, backward pass through all that
    the precision concerns: the heads compute in fp32, and their processes wait for each other."""
    trained = not network.embeds_alike
    started = time.perf_counter()
    with (
        torch.set_grad_enabled(trained),
        torch.autocast("cpu", torch.bfloat16, enabled=precision == BF16),
    ):
        embedded = network.embed(packed)  # (sequences, hidden)
    if trained:
        embedded.square().mean().backward()
        network.zero_grad()
    return time.perf_counter() - started
