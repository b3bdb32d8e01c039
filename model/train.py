"""One trial: a configuration trained on all tasks at once, epoch by epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor

from model.batches import Batch, check_processes, epoch_batches, updates_per_epoch
from model.checkpoint import load_last, save_best, save_last
from model.corpus import DEV, TRAIN, Corpus
from model.evaluate import evaluate
from model.losses import loss_weights
from model.network import build_network
from model.optimizer import build_optimizer, set_learning_rates
from model.pretrained import Pretrained
from model.tasks import Task, constant_loss
from spaces import Config

Metrics = Mapping[str, float]

_DIVERGED = 10.0  # times the loss of a prediction that knows nothing


class Save(Protocol):
    """Writes the checkpoint of the epoch just reported into a folder."""

    def __call__(self, folder: Path) -> None: ...


class Report(Protocol):
    """Called after each epoch, and first of all with the last epoch of a trial that is resumed
    (whose report may have been lost); says whether to go on."""

    def __call__(self, epoch: int, metrics: Metrics, save: Save) -> bool: ...


class DivergenceError(Exception):
    """A loss that is no number, or far worse than that of knowing nothing."""

    def __init__(self, epoch: int, task: str, loss: float) -> None:
        super().__init__(f"epoch {epoch}: the training loss of {task} is {loss:g}")
        self.epoch, self.task, self.loss = epoch, task, loss


@dataclass(frozen=True)
class Trained:
    """How a trial ended: its last epoch's metrics and its best epoch by the objective."""

    epoch: int
    metrics: Metrics
    best_epoch: int
    best_score: float


def train(
    config: Config,
    tasks: Sequence[Task],
    corpus: Corpus,
    encoder: Pretrained,
    accelerator: Accelerator,
    report: Report,
    *,
    objective: str = "mean",
    resume: Path | None = None,
) -> Trained:
    """Train for up to `config.epochs` epochs, or until `report` says no.

    After each epoch the main process calls `report(epoch, metrics, save)`. The metrics are
    `train_loss/TASK` (weighted as drawn, with dropout), `dev_loss/TASK`, `score/TASK`,
    `score/mean`, `seconds` (training and evaluation) and `examples_per_second` (in training, over
    all processes). `objective` names the score that decides which epoch is the best.

    `resume` is a folder that `save` wrote into: training goes on after its last epoch and gives,
    bit for bit, what it would have given without the interruption. Where it has no checkpoint,
    training starts at the beginning.

    Raises:
        DivergenceError: if a training loss is not finite or ten times that of knowing nothing.
        UserError: if the configuration does not fit the encoder, or the number of processes.
    """
    trial = _Trial(config, tasks, corpus, encoder, accelerator, objective)
    if resume is not None:
        trial.load(resume)
    if trial.epoch == 0:
        trial.run_epoch()
    while _agreed(accelerator, report, trial) and trial.epoch < config.epochs:
        trial.run_epoch()
    return Trained(trial.epoch, trial.metrics, trial.best_epoch, trial.best_score)


def _agreed(accelerator: Accelerator, report: Report, trial: _Trial) -> bool:
    """Whether to go on, as the main process's report says and all processes hear."""
    answer = [False]
    try:
        if accelerator.is_main_process:
            answer = [report(trial.epoch, trial.metrics, trial.save)]
    finally:  # A report that raises ends the trial in all processes.
        if accelerator.num_processes > 1:
            broadcast_object_list(answer)
    return answer[0]


class _Trial:
    def __init__(
        self,
        config: Config,
        tasks: Sequence[Task],
        corpus: Corpus,
        encoder: Pretrained,
        accelerator: Accelerator,
        objective: str,
    ) -> None:
        self.config, self.tasks, self.corpus = config, tasks, corpus
        self.accelerator, self.objective = accelerator, objective
        check_processes(config, accelerator.num_processes)
        self.plain = build_network(config, tasks, encoder).to(accelerator.device)
        optimizer = build_optimizer(config, self.plain)
        self.network, self.optimizer = accelerator.prepare(self.plain, optimizer)
        self.weights = loss_weights(config, tasks)
        self.limits = {
            task.name: _DIVERGED * constant_loss(task, corpus.splits[task.name][TRAIN].labels)
            for task in tasks
        }
        self.epoch, self.best_epoch, self.best_score = 0, 0, -math.inf
        self.metrics: dict[str, float] = {}
        self.saved: tuple[Path, int] | None = None

    def run_epoch(self) -> None:
        """Train and evaluate one more epoch."""
        self.epoch += 1
        started = time.perf_counter()
        losses = self._train_epoch()
        trained = time.perf_counter()
        evaluated = evaluate(
            self.plain, self.tasks, self.corpus, DEV, self.config.max_length, self.accelerator
        )
        ended = time.perf_counter()
        scores = {task.name: evaluated[task.name].score for task in self.tasks}
        scores["mean"] = sum(scores.values()) / len(scores)
        if scores[self.objective] > self.best_score:
            self.best_epoch, self.best_score = self.epoch, scores[self.objective]
        examples = self.config.samples_per_epoch * len(self.tasks)
        self.metrics = {
            **{f"train_loss/{name}": loss for name, loss in losses.items()},
            **{f"dev_loss/{name}": result.loss for name, result in evaluated.items()},
            **{f"score/{name}": score for name, score in scores.items()},
            "seconds": ended - started,
            "examples_per_second": examples / (trained - started),
        }

    def save(self, folder: Path) -> None:
        """The best weights first: what `last` says about them is then never ahead of them."""
        if self.saved == (folder, self.epoch):
            return
        weights = self.plain.state_dict()
        if self.best_epoch == self.epoch:
            about = {"epoch": str(self.epoch), "score": repr(self.best_score)}
            save_best(folder, weights, about)
        state = {
            "epoch": self.epoch,
            "best_epoch": self.best_epoch,
            "best_score": self.best_score,
            "metrics": self.metrics,
            "network": weights,
            "optimizer": self.optimizer.state_dict(),
        }
        save_last(folder, state)
        self.saved = folder, self.epoch

    def load(self, folder: Path) -> None:
        state: dict[str, Any] | None = load_last(folder)
        if state is None:
            return
        self.plain.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.metrics = state["epoch"], state["metrics"]
        self.best_epoch, self.best_score = state["best_epoch"], state["best_score"]
        self.saved = folder, self.epoch

    def _train_epoch(self) -> dict[str, float]:
        """Each task's mean training loss over the epoch."""
        accelerator, config = self.accelerator, self.config
        processes, process = accelerator.num_processes, accelerator.process_index
        torch.manual_seed(_seed(config.seed, self.epoch, process))
        self.network.train()
        updates = updates_per_epoch(config)
        first = (self.epoch - 1) * updates
        totals = torch.zeros(len(self.tasks), device=accelerator.device)
        batches = epoch_batches(
            config, self.tasks, self.corpus, self.epoch, accelerator.device, process, processes
        )
        for update, batch in enumerate(batches, start=first):
            set_learning_rates(self.optimizer, config, update, updates * config.epochs)
            totals += self._update(batch)
            if processes == 1 and accelerator.device.type == "cpu":
                self._check(totals / (update - first + 1))  # On a GPU this would wait for it.
        totals = accelerator.reduce(totals) / updates
        self._check(totals)
        return {task.name: loss for task, loss in zip(self.tasks, totals.tolist(), strict=True)}

    def _update(self, batch: Batch) -> Tensor:
        """One step of the optimizer; this process's share of each task's mean loss, detached."""
        outputs = self.network(batch)
        losses = torch.stack(
            [
                task.loss(outputs[task.name], part.labels).sum() / part.total
                for task in self.tasks
                for part in (batch.tasks[task.name],)
            ]
        )  # (tasks,)
        weights = losses.new_tensor([self.weights[task.name] for task in self.tasks])
        # Processes' gradients are averaged, but their shares of the losses add up.
        self.accelerator.backward((losses * weights).sum() * self.accelerator.num_processes)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return losses.detach()

    def _check(self, losses: Tensor) -> None:
        for task, loss in zip(self.tasks, losses.tolist(), strict=True):
            if not loss <= self.limits[task.name]:
                raise DivergenceError(self.epoch, task.name, loss)


def _seed(seed: int, epoch: int, process: int) -> int:
    """Different for every epoch and process, so that nothing about a generator need be stored."""
    return (seed * 1_000_003 + epoch) * 1_009 + process
