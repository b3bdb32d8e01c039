"""The embeddings of a frozen encoder: every sequence is encoded once and for all.

They lie in a file of the cache, which the trials of a machine share, of this study and of others:
whoever needs a sequence first encodes it. An embedding does not depend on its company (see
`embed`), so neither does a score depend on who came first.
"""

from __future__ import annotations

import hashlib
import os
import zlib

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from model.data.sequences import Sequences
from model.encoder.pretrained import Pretrained
from model.machine.device import to_device
from model.network.network import Network
from model.network.pooling import Pooling
from model.storage.cache import cache_folder, drop_oldest
from model.storage.code_hash import code_hash
from model.training.evaluate import embed

_KEPT = 4  # how many files of embeddings are kept


class FrozenEmbeddings:
    """The sequences of a corpus as a network embeds them whose encoder is not trained.

    Each row of the file is an embedding and its checksum: what another process has half written,
    or a machine lost as it went down, is not there.
    """

    def __init__(
        self,
        network: Network,
        encoder: Pretrained,
        sequences: Sequences,
        accelerator: Accelerator,
    ) -> None:
        self._network, self._sequences, self._accelerator = network, sequences, accelerator
        shape = len(sequences), encoder.shape.hidden + 1
        self._rows = np.zeros(shape, dtype=np.float32)
        if accelerator.num_processes == 1:  # Several must agree on what is still to be encoded.
            key = _key(encoder, sequences, network.pooling, accelerator)
            self._rows = _shared(key, shape, self._rows)
        self._known = np.zeros(shape[0], dtype=bool)

    def prepare(self, numbers: np.ndarray) -> None:
        """Encode those of the sequences `numbers` that nobody has yet; all processes together."""
        new = np.unique(numbers[~self._known[numbers]])
        missing = new[[not _is_whole(row) for row in self._rows[new]]] if len(new) else new
        if len(missing):
            was_training = self._network.training
            self._network.eval()
            with torch.no_grad():
                embedded = embed(self._network, self._sequences, missing, self._accelerator)
            self._network.train(was_training)
            for number, row in zip(missing, embedded.cpu().numpy(), strict=True):
                self._rows[number] = np.append(row, _checksum(row))
        self._known[new] = True

    def __call__(self, numbers: np.ndarray) -> Tensor:
        """fp32 (sequences, hidden), on the device, of sequences that were prepared."""
        return to_device(self._rows[numbers, :-1], self._accelerator.device)


def _is_whole(row: np.ndarray) -> bool:
    return bool(row[-1:].view(np.uint32) == _checksum(row[:-1]).view(np.uint32))


def _checksum(row: np.ndarray) -> np.ndarray:
    """float32 (1,), whose bits say nothing as a number; never those of zero, which is no row."""
    return np.array([zlib.crc32(row.tobytes()) or 1], dtype=np.uint32).view(np.float32)


def _key(
    encoder: Pretrained, sequences: Sequences, pooling: Pooling, accelerator: Accelerator
) -> str:
    """The hash of all that decides the bits of an embedding."""
    digest = hashlib.sha256()
    setting = (
        pooling.kind,
        pooling.layers,
        sequences.max_length,
        sequences.joint,
        sequences.corpus.separators,
        accelerator.mixed_precision,
        accelerator.device.type,
        torch.get_num_threads(),
        torch.__version__,
        torch.backends.cpu.get_cpu_capability(),
        encoder.shape,
    )
    digest.update(repr(setting).encode())
    digest.update(code_hash().encode())
    corpus = sequences.corpus
    inputs = (corpus.inputs,) if sequences.joint else ()
    for array in (corpus.tokens, corpus.offsets, *inputs, *encoder.weights.values()):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _shared(key: str, shape: tuple[int, int], otherwise: np.ndarray) -> np.ndarray:
    """The rows of a file of the cache, shared between processes; what `otherwise` gives where there
    can be no such file."""
    try:
        folder = cache_folder("embeddings")
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{key}.f32").open("a+b") as file:
            # The file gets its full size at once: a full disk is an error here, but would end the
            # process later.
            os.posix_fallocate(file.fileno(), 0, 4 * shape[0] * shape[1])
            os.utime(file.fileno())
        drop_oldest(folder, _KEPT)
        return np.memmap(folder / f"{key}.f32", dtype=np.float32, mode="r+", shape=shape)
    except (OSError, RuntimeError):
        return otherwise
