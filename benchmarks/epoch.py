"""What an epoch takes: the evaluation's share of it, and the heads alone on a frozen encoder.

    python -m benchmarks.epoch [--quick] [--data FOLDER] [--samples 4096] [--epochs 3]

The default configuration with the packaged encoder on one thread; wall-clock seconds, the median
of the epochs. The heads alone are timed in a second trial, when every sentence has been embedded.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile

import torch

from benchmarks.common.machine import machine
from benchmarks.common.material import data_kind, material
from model import ALL_TASKS, Corpus, Metrics, Pretrained, Save, make_accelerator, train
from spaces import Config


def epochs_of(config: Config, corpus: Corpus, encoder: Pretrained) -> list[Metrics]:
    """Train a configuration; the result has the metrics of each epoch."""
    found: list[Metrics] = []

    def report(epoch: float, metrics: Metrics, save: Save) -> bool:
        found.append(metrics)
        return True

    train(config, ALL_TASKS, corpus, encoder, make_accelerator(), report)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="one epoch of 512 samples a task")
    parser.add_argument("--data", default="embedded", metavar="FOLDER")
    parser.add_argument("--samples", type=int, default=4096, help="a task and epoch")
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    if options.quick:
        options.samples, options.epochs = 512, 1
    torch.set_num_threads(1)
    given = material(options.data)
    corpus, encoder = given.corpus, given.encoder
    config = Config(samples_per_epoch=options.samples, epochs=options.epochs)
    trained = epochs_of(config, corpus, encoder)
    with tempfile.TemporaryDirectory(prefix="ablatune-") as cache:
        os.environ["ABLATUNE_CACHE"] = cache
        frozen = config.replace(trainable_layers="none")
        epochs_of(frozen, corpus, encoder)
        heads = epochs_of(frozen, corpus, encoder)
    examples = options.samples * len(ALL_TASKS)
    shares = [1 - examples / m["examples_per_second"] / m["seconds"] for m in trained]
    result = {
        "benchmark": "epoch",
        "machine": machine() | {"load": os.getloadavg()[0]},
        "data": data_kind(options.data),
        "samples": options.samples,
        "seconds": statistics.median(m["seconds"] for m in trained),
        "share_of_evaluation": statistics.median(shares),
        "seconds_of_heads_alone": statistics.median(m["seconds"] for m in heads),
    }
    print(f"an epoch of {options.samples} a task: {result['seconds']:.1f} s")
    print(f"  of which evaluation: {result['share_of_evaluation']:.1%}")
    print(f"the heads alone: {result['seconds_of_heads_alone']:.2f} s")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
