"""Decides on which device a trial computes, and in which precision."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import sys
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import broadcast_object_list
from torch import Tensor

from model.machine.cpus import usable_cpus
from model.machine.launcher import USE_CPU, launched, settle, wants_cpu

_CACHES = {
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256",
    "LRU_CACHE_CAPACITY": "1",
}
"""How many shapes of matrix products a process stays prepared for, a quarter of a MiB each.

Packed batches have other shapes in nearly every update. oneDNN keeps what it prepared, and so does
PyTorch's layer above it, for each thread that computes: by default 1,024 each, which a training
goes on filling for epochs. The layer's copies save nothing that oneDNN's do not; of those, 256 hold
what one update asks for again in every layer, and most of what later ones ask for.
"""


def make_accelerator(precision: str = "auto") -> Accelerator:
    """Accelerate's device and processes, as the launcher set them; `precision` is fp32, bf16, or
    auto: bf16 where the hardware has it. A study's trials get what `model.precision` found."""
    bound_caches()
    # Unless told that it is on a CPU, Accelerate makes N processes of torchrun N trainings of one.
    on_cpu = wants_cpu(os.environ) or not torch.accelerator.is_available()
    _settle_launch()
    if torch.get_num_threads() > usable_cpus():
        torch.set_num_threads(usable_cpus())
    bf16 = precision == "bf16" or (precision == "auto" and has_bf16())
    return Accelerator(cpu=on_cpu, mixed_precision="bf16" if bf16 else "no")


def bound_caches() -> None:
    """Bound what this process's matrix products keep; call it before the first of them."""
    for name, capacity in _CACHES.items():
        os.environ.setdefault(name, capacity)


def _settle_launch() -> None:
    """Have the environment say whole and right what a launcher says, or nothing."""
    on_cpu = wants_cpu(os.environ)
    if ignored := settle(os.environ, launched(os.environ)):
        logging.getLogger(__name__).warning(
            "Trained in this process alone: %s is set, but a training of several processes needs "
            "RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT, as torchrun sets them.",
            ", ".join(ignored),
        )
    if on_cpu:
        os.environ[USE_CPU] = "true"


def agreed(choose: Callable[[], str]) -> str:
    """What the main process of a training chooses, in all its processes, before there is an
    accelerator."""
    _settle_launch()
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return choose()
    state = PartialState(cpu=wants_cpu(os.environ) or not torch.accelerator.is_available())
    answer = [choose() if state.is_main_process else ""]
    broadcast_object_list(answer)
    return answer[0]


def leave(accelerator: Accelerator) -> None:
    """The last call of a training's program: does not return where that has several processes.

    They end together, at once. In Python's own ending the threads of PyTorch's process group now
    and then abort one of them ("terminate called without an active exception"), and the launcher
    reports a training as failed that is done.
    """
    accelerator.wait_for_everyone()
    if accelerator.num_processes > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    accelerator.end_training()


def has_bf16(gpu: bool | None = None) -> bool:
    """Whether this machine's GPU or its CPU multiplies bf16 matrices in hardware; None stands for
    its GPU where it has one."""
    if torch.cuda.is_available() if gpu is None else gpu:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def to_device(values: np.ndarray, device: torch.device) -> Tensor:
    """An array on a device, copied without waiting for it."""
    tensor = torch.from_numpy(np.require(values, requirements=["C", "W"]))  # copies if read-only
    if device.type == "cuda":  # From pageable memory the copy would wait.
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed the host's random generator and the device's.

    `torch.manual_seed` keeps a note, with a stack trace, for every other kind of device that it
    finds uninitialised: a few milliseconds, and memory that is never given back.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def release_memory() -> None:
    """Give what an earlier trial left back to the system.

    A prepared network is part of a reference cycle, which the collector finds late because it
    counts objects and not their bytes; and glibc keeps freed memory, in pieces too small for the
    next trial's tensors. What is alive at the first call, the libraries, is for good: later
    collections leave it out, and take a tenth of the time.
    """
    gc.collect()
    _leave_out_what_is_alive()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not in every libc
        if trim is not None:
            trim(0)


@cache
def _leave_out_what_is_alive() -> None:
    gc.freeze()  # and not asked for later: to count what is frozen takes as long as a collection
