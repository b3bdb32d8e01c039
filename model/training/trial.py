"""What a trial is between two evaluations: its training, its scores, and its checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import nn

from model.data.batches import epoch_batches
from model.data.corpus import DEV, TRAIN, Corpus
from model.data.sampling import Sampling
from model.data.sequences import Sequences
from model.encoder.pretrained import Pretrained
from model.storage.checkpoint import load_last, save_best, save_last
from model.tasks.task import Task, constant_loss
from model.training.early_stopping import has_stalled
from model.training.evaluate import Evaluation, evaluate
from model.training.frozen_embeddings import FrozenEmbeddings
from model.training.reports import Ask, DivergenceError, InterruptionError, UndefinedScoreError
from model.training.step import Step
from spaces import Config

_DIVERGED = 10.0  # times the loss of a prediction that knows nothing
_UPDATES_BETWEEN_AGREEMENTS = 8  # how often several processes agree on whether to end


class Trial:
    def __init__(
        self,
        config: Config,
        tasks: Sequence[Task],
        corpus: Corpus,
        encoder: Pretrained,
        accelerator: Accelerator,
        objective: str,
        asked_to_end: Ask,
    ) -> None:
        self.asked_to_end = asked_to_end
        self.config, self.tasks, self.corpus = config, tasks, corpus
        self.accelerator, self.objective = accelerator, objective
        self.sampling = Sampling.of(config, tasks, corpus)
        self.sampling.check_processes(accelerator.num_processes)
        updates = self.sampling.updates_per_epoch * config.epochs
        self.step = Step(config, tasks, encoder, accelerator, updates)
        self.step.plain.encoder.register_forward_pre_hook(self._before_encoding)
        self.sequences = Sequences.of(config, corpus)
        self.frozen = (
            FrozenEmbeddings(self.step.plain, encoder, self.sequences, accelerator)
            if self.step.plain.embeds_alike
            else None
        )
        self.limits = {
            task.name: _DIVERGED * constant_loss(task, corpus.splits[task.name][TRAIN].labels)
            for task in tasks
        }
        self.epoch: float = 0
        self.updates = 0
        self.losses = torch.zeros(len(tasks), device=accelerator.device)
        """The sum over the updates of the epoch so far, of this process's examples."""
        self.process_losses = self.losses[None]  # (processes, tasks)
        self.met = [0] * len(tasks)
        """In how many updates of the epoch so far each task was trained."""
        self.scores: list[float] = []
        """The objective after each whole epoch."""
        self.best_epoch: float = 0
        self.best_score = -math.inf
        self.metrics: dict[str, float] = {}
        self.saved: tuple[Path, float, int] | None = None
        self.examples, self.seconds = 0, 0.0
        """Trained since the last evaluation, and the time that took."""

    @property
    def has_stalled(self) -> bool:
        return has_stalled(self.scores, self.config.early_stopping)

    def run_until(self, epoch: float) -> None:
        """Train until `epoch`, which is in the current epoch or its end, and evaluate."""
        started = time.perf_counter()
        try:
            self._train_until(self.sampling.updates_until(epoch))
            losses = self._training_losses()
        finally:
            self.seconds += time.perf_counter() - started
        started = time.perf_counter()
        evaluated = evaluate(
            self.step.plain,
            self.tasks,
            self.sequences,
            DEV,
            self.accelerator,
            self.frozen,
        )
        evaluation_seconds = time.perf_counter() - started
        self._check_scores(epoch, evaluated)
        self.epoch = epoch
        scores = {task.name: evaluated[task.name].score for task in self.tasks}
        scores["mean"] = sum(scores.values()) / len(scores)
        if epoch == len(self.scores) + 1:
            self.scores.append(scores[self.objective])
        if scores[self.objective] > self.best_score:
            self.best_epoch, self.best_score = self.epoch, scores[self.objective]
        self.metrics = {
            **{f"train_loss/{name}": loss for name, loss in losses.items()},
            **{f"dev_loss/{name}": result.loss for name, result in evaluated.items()},
            **{f"score/{name}": score for name, score in scores.items()},
            "seconds": self.seconds + evaluation_seconds,
            "examples_per_second": self.examples / self.seconds,
        }
        self.examples, self.seconds = 0, 0.0

    def _check_scores(self, epoch: float, evaluated: Mapping[str, Evaluation]) -> None:
        """What the objective is made of has to be a number; another task's score may be none."""
        for name, result in evaluated.items():
            if not math.isfinite(result.loss):
                raise UndefinedScoreError(epoch, name, f"its dev loss is {result.loss:g}")
            if self.objective in ("mean", name) and not math.isfinite(result.score):
                one = f"{result.predictions[0]:.4g}"
                raise UndefinedScoreError(epoch, name, f"all its dev predictions are {one}")

    def save(self, folder: Path) -> None:
        """Write the checkpoint, the best weights first: what `last.pt` says about them is then
        never ahead of them."""
        if self.saved == (folder, self.epoch, self.updates):
            return
        weights = self.step.plain.state_dict()
        if 0 < self.best_epoch == self.epoch and not self.examples:
            about = {"epoch": str(self.epoch), "score": repr(self.best_score)}
            save_best(folder, weights, about)
        state = {
            "epoch": self.epoch,
            "updates": self.updates,
            "examples": self.examples,
            "seconds": self.seconds,
            "scores": self.scores,
            "best_epoch": self.best_epoch,
            "best_score": self.best_score,
            "metrics": self.metrics,
            "losses": self.process_losses,
            "met": self.met,
            "reference": self.step.reference,
            "network": {n: w for n, w in weights.items() if n not in self.step.plain.frozen},
            "optimizer": self.step.optimizer.state_dict(),
        }
        save_last(folder, state)
        self.saved = folder, self.epoch, self.updates

    def save_where_it_is(self, folder: Path | None) -> None:
        """Save the trial inside an epoch; all processes do it together, after the same update."""
        if self.updates == 0:
            return
        self._training_losses()
        if folder is not None and self.accelerator.is_main_process:
            self.save(folder)

    def load(self, folder: Path) -> None:
        state: dict[str, Any] | None = load_last(folder)
        if state is None:
            return
        plain = self.step.plain
        plain.load_state_dict({n: plain.state_dict()[n] for n in plain.frozen} | state["network"])
        self.step.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.metrics = state["epoch"], state["metrics"]
        for name, average in self.step.reference.items():
            average.copy_(state["reference"][name])
        self.updates, self.met = state["updates"], state["met"]
        self.examples, self.seconds = state["examples"], state["seconds"]
        self.process_losses = state["losses"].to(self.losses.device)
        processes, process = self.accelerator.num_processes, self.accelerator.process_index
        self.losses = self.process_losses[process::processes].sum(0)
        self.scores = state["scores"]
        self.best_epoch, self.best_score = state["best_epoch"], state["best_score"]
        self.saved = folder, self.epoch, self.updates

    def _train_until(self, updates: int) -> None:
        """Train until so many updates are done, in the current epoch."""
        if updates == self.updates:  # Of a trial that was asked to end in its evaluation.
            return
        accelerator, config = self.accelerator, self.config
        processes, process = accelerator.num_processes, accelerator.process_index
        per_epoch = self.sampling.updates_per_epoch
        epoch, first = divmod(self.updates, per_epoch)
        self.step.plain.start_epoch(epoch + 1)
        self.step.network.train()
        batches = epoch_batches(
            config,
            self.tasks,
            self.corpus,
            epoch + 1,
            accelerator.device,
            process,
            processes,
            first,
            first + updates - self.updates,
            self.frozen,
        )
        for batch in batches:
            if self._shall_end():
                raise InterruptionError
            if self.updates % per_epoch == 0:
                if self.updates:
                    self.step.plain.weighting.end_epoch(self._training_losses())
                self.losses.zero_()
                self.met = [0] * len(self.tasks)
            self.losses += self.step(batch, self.updates)
            self.updates += 1
            for number, task in enumerate(self.tasks):
                self.met[number] += task.name in batch.tasks
            self.examples += sum(part.total for part in batch.tasks.values())
            if processes == 1 and accelerator.device.type == "cpu":
                self._training_losses()  # On a GPU this would wait for it.

    def _shall_end(self) -> bool:
        """Whether the trial shall end before this update; several processes end before the same
        one."""
        accelerator = self.accelerator
        answer = [accelerator.is_main_process and self.asked_to_end()]
        if accelerator.num_processes > 1:
            if self.updates % _UPDATES_BETWEEN_AGREEMENTS:
                return False
            broadcast_object_list(answer)
        return answer[0]

    def _before_encoding(self, encoder: nn.Module, _inputs: object) -> None:
        """End the trial during an evaluation if it was asked to: evaluating changes nothing that
        would have to be saved."""
        alone = self.accelerator.num_processes == 1
        if not encoder.training and self.asked_to_end() and alone:
            raise InterruptionError

    def _training_losses(self) -> dict[str, float]:
        """The mean training loss, over the epoch so far, of each task that had an update in it;
        it must not have diverged."""
        self.process_losses = self.accelerator.gather(self.losses[None])
        totals = zip(self.tasks, self.process_losses.sum(0), self.met, strict=True)
        means = {task.name: total / met for task, total, met in totals if met}
        losses = dict(zip(means, torch.stack([*means.values()]).tolist(), strict=True))
        for name, loss in losses.items():
            if not loss <= self.limits[name]:
                epoch = (self.updates - 1) // self.sampling.updates_per_epoch + 1
                raise DivergenceError(epoch, name, loss)
        return losses
