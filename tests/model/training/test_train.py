"""A trial is decided by its configuration, can be resumed to the bit, and says when it diverges."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from model import BEST, DEV, LAST, Metrics, Save, build_network, evaluate, load_best, train
from model.data.batches import Batch
from model.data.corpus import TRAIN, Corpus
from model.data.sequences import Sequences
from model.encoder.pretrained import Pretrained
from model.tasks.shipped import ALL_TASKS
from model.training.reports import DivergenceError, UndefinedScoreError
from model.training.step import Step
from spaces import Config, UserError
from tests.tries import tries

Fit = Any  # conftest's
train_module = import_module("model.training.train")  # The package exports a function so called.
step_module = import_module("model.training.step")

METRICS = {
    *(f"{kind}/{task}" for kind in ("train_loss", "dev_loss", "score") for task in ("sst", "para")),
    *("train_loss/sts", "dev_loss/sts", "score/sts", "score/mean"),
}


def assert_same(first: Any, second: Any) -> None:
    """Equal to the bit, tensors wherever they are."""
    if isinstance(first, Tensor):
        assert torch.equal(first, second)
        assert first.dtype == second.dtype
    elif isinstance(first, Mapping):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, list | tuple):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    else:
        assert first == second


def state_of(run: Any) -> dict[str, Any]:
    """What `last.pt` holds, less the measured times."""
    state: dict[str, Any] = run.last
    state["metrics"] = {n: v for n, v in state["metrics"].items() if n in METRICS}
    return state


def trained_of(run: Any) -> dict[str, Any]:
    """What was trained, whichever of its evaluations was the best."""
    return {n: v for n, v in state_of(run).items() if n not in ("best_epoch", "best_score")}


def changed(pretrained: Pretrained, name: str, factor: float) -> Pretrained:
    weights = {n: w * factor if n == name else w for n, w in pretrained.weights.items()}
    return dataclasses.replace(pretrained, weights=weights)


LAST_NORM = "layers.1.feed_forward.norm.weight"


def test_epochs_are_reported_in_order_with_all_metrics(fit: Fit, tiny: Config) -> None:
    run = fit(tiny.replace(epochs=3))
    assert [epoch for epoch, _ in run.reports] == [1, 2, 3]
    for _, metrics in run.reports:
        assert set(metrics) == METRICS
        scores = [metrics[f"score/{task.name}"] for task in ALL_TASKS]
        assert metrics["score/mean"] == pytest.approx(sum(scores) / 3)
    assert run.trained.epoch == 3
    assert METRICS | {"seconds", "examples_per_second"} == set(run.trained.metrics)
    assert {n: v for n, v in run.trained.metrics.items() if n in METRICS} == run.reports[-1][1]


def test_times_are_of_what_was_done_since_the_last_report(
    tiny: Config, corpus: Corpus, pretrained: Pretrained, accelerator: Accelerator
) -> None:
    seen: list[Metrics] = []

    def report(epoch: float, metrics: Metrics, save: Save) -> bool:
        seen.append(metrics)
        return True

    train(tiny, ALL_TASKS, corpus, pretrained, accelerator, report, report_at=(0.25,))
    updates = (1, 3, 4)
    for metrics, count in zip(seen, updates, strict=True):
        examples = 3 * tiny.batch_size * count
        assert 0 < examples / metrics["examples_per_second"] < metrics["seconds"] < 60


def test_training_learns_what_it_is_trained_on(fit: Fit, tiny: Config) -> None:
    config = tiny.replace(epochs=6, samples_per_epoch=96, dropout=0.0, head_dropout=0.0)
    reports = fit(config).reports
    for task in ("sst", "para", "sts"):
        losses = [metrics[f"train_loss/{task}"] for _, metrics in reports]
        assert losses[-1] < 0.97 * losses[0], task


def test_training_loss_is_the_mean_over_the_examples_of_an_epoch(
    fit: Fit, tiny: Config, corpus: Corpus, pretrained: Pretrained, accelerator: Accelerator
) -> None:
    """Where the rates are almost nothing, it is the loss of evaluation on the same examples."""
    config = tiny.replace(
        epochs=1,
        samples_per_epoch=96,
        head="linear",
        dropout=0.0,
        encoder_learning_rate=1e-7,
        head_learning_rate=1e-6,
    )
    _, metrics = fit(config).reports[0]
    network = build_network(config, ALL_TASKS, pretrained)
    found = evaluate(network, ALL_TASKS, Sequences.of(config, corpus), TRAIN, accelerator)
    for task in ("sst", "para", "sts"):
        assert metrics[f"train_loss/{task}"] == pytest.approx(found[task].loss, rel=1e-3)


def test_reported_scores_are_those_of_the_saved_weights(
    fit: Fit, tiny: Config, corpus: Corpus, pretrained: Pretrained, accelerator: Accelerator
) -> None:
    run = fit(tiny)
    network = build_network(tiny, ALL_TASKS, pretrained)
    network.load_state_dict(run.weights)
    found = evaluate(network, ALL_TASKS, Sequences.of(tiny, corpus), DEV, accelerator)
    _, metrics = run.reports[-1]
    for task, result in found.items():
        assert result.score == metrics[f"score/{task}"]
        assert result.loss == metrics[f"dev_loss/{task}"]


@pytest.mark.parametrize("changes", [{}, {"head": "linear", "pooling": "max", "extra_data": True}])
def test_a_seed_decides_everything(fit: Fit, tiny: Config, changes: dict[str, Any]) -> None:
    config = tiny.replace(**changes)
    first = fit(config)
    torch.manual_seed(12345)
    torch.rand(7)
    second = fit(config)
    assert first.reports == second.reports
    assert_same(state_of(first), state_of(second))
    other = fit(config.replace(seed=1))
    assert other.reports != first.reports


def test_learning_rates_follow_one_clock_over_all_epochs(
    fit: Fit, tiny: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Restarts and reports inside an epoch included: the clock is the update's number."""
    clock: list[tuple[int, int]] = []

    def set_learning_rates(_optimizer: object, _config: Config, *times: int) -> None:
        clock.append(times)  # type: ignore[arg-type]

    monkeypatch.setattr(step_module, "set_learning_rates", set_learning_rates)
    config = tiny.replace(epochs=3)
    run = fit(config, stop_after=2)
    run = fit(config, run.folder, stop_after=2.5, report_at=(2.25, 2.5))
    fit(config, run.folder)
    assert clock == [(update, 12) for update in range(12)]


def test_every_update_and_process_has_random_numbers_of_its_own(
    fit: Fit, tiny: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed_of = step_module._seed
    places = [
        (seed, update, process) for seed in (0, 1, 2) for update in range(9) for process in (0, 1)
    ]
    assert len({seed_of(*place) for place in places}) == len(places)
    seeds: list[int] = []
    seed_generators = step_module.seed_generators

    def watched(seed: int, device: torch.device) -> None:
        seeds.append(seed)
        seed_generators(seed, device)

    monkeypatch.setattr(step_module, "seed_generators", watched)
    fit(tiny.replace(seed=4))
    assert seeds == [seed_of(4, update, 0) for update in range(8)]


def test_more_processes_than_examples_are_refused(
    tiny: Config, corpus: Corpus, pretrained: Pretrained
) -> None:
    nine: Any = SimpleNamespace(num_processes=9)
    with pytest.raises(UserError, match="updates of 8 examples of each task, too few for 9"):
        train(tiny, ALL_TASKS, corpus, pretrained, nine, lambda *_: True)


SETTINGS: list[dict[str, Any]] = [
    {},  # normalised heads, dropout everywhere, a rising and falling rate
    {"head": "linear", "shared_pair_head": False, "pair_features": "difference"},
    {"trainable_layers": 1, "schedule": "constant", "extra_data": True, "pooling": "max"},
    {"trainable_layers": "none", "warmup": 0.5, "samples_per_epoch": 21, "batch_size": 5},
    {"pair_encoding": "joint", "pooling": "attention", "pooled_layers": 2, "max_length": 14},
    {"smart": True, "smart_steps": 2, "bregman": True, "bregman_momentum": 0.9},
    {"sampling": "sequential", "shared_pair_head": False, "batch_size": 30},
    {"sampling": "proportional", "extra_data": "share", "bregman": True, "trainable_layers": 1},
    {"sampling": "annealed", "trainable_layers": "none", "batch_size": 12},
    {"loss_weighting": "uncertainty", "gradient_surgery": "pcgrad", "reinitialized_layers": 1},
    {"loss_weighting": "dynamic", "unfreezing": "gradual", "layer_decay": 0.8},
]


@pytest.mark.parametrize("stop_after", [1, 2])
@pytest.mark.parametrize("changes", SETTINGS, ids=lambda changes: " ".join(changes) or "default")
def test_a_resumed_trial_equals_one_never_stopped(
    fit: Fit, tiny: Config, changes: dict[str, Any], stop_after: int
) -> None:
    config = tiny.replace(epochs=3, dropout=0.2, head_dropout=0.2, **changes)
    whole = fit(config)
    stopped = fit(config, stop_after=stop_after)
    assert stopped.trained.epoch == stop_after
    assert stopped.reports == whole.reports[:stop_after]
    torch.rand(3)  # What happens between must not matter.
    resumed = fit(config, stopped.folder)
    assert [epoch for epoch, _ in resumed.reports] == list(range(stop_after, 4))
    assert resumed.reports == whole.reports[stop_after - 1 :]
    assert_same(state_of(resumed), state_of(whole))
    assert_same(load_best(resumed.folder), load_best(whole.folder))
    assert resumed.trained.best_epoch == whole.trained.best_epoch
    assert resumed.trained.best_score == whole.trained.best_score


def test_a_trial_stopped_after_every_epoch_equals_one_never_stopped(fit: Fit, tiny: Config) -> None:
    config = tiny.replace(epochs=4)
    whole = fit(config)
    run = fit(config, stop_after=1)
    for epoch in (2, 3, 4):
        run = fit(config, run.folder, stop_after=epoch)
        assert run.reports == whole.reports[epoch - 2 : epoch]
    assert_same(state_of(run), state_of(whole))


@pytest.mark.parametrize("changes", SETTINGS, ids=lambda changes: " ".join(changes) or "default")
def test_reports_inside_an_epoch_change_nothing(
    fit: Fit, tiny: Config, changes: dict[str, Any]
) -> None:
    config = tiny.replace(dropout=0.2, head_dropout=0.2, **changes)
    whole = fit(config)
    paused = fit(config, report_at=(0.25, 0.5, 1, 1.75))
    assert [epoch for epoch, _ in paused.reports] == [0.25, 0.5, 1, 1.75, 2]
    assert [row for row in paused.reports if row[0] in (1, 2)] == whole.reports
    assert_same(trained_of(paused), trained_of(whole))


@pytest.mark.parametrize("changes", SETTINGS, ids=lambda changes: " ".join(changes) or "default")
def test_a_trial_resumed_inside_an_epoch_equals_one_never_stopped(
    fit: Fit, tiny: Config, changes: dict[str, Any]
) -> None:
    config = tiny.replace(dropout=0.2, head_dropout=0.2, **changes)
    report_at = (0.25, 1.5)
    whole = fit(config, report_at=report_at)
    stopped = fit(config, stop_after=1.5, report_at=report_at)
    assert stopped.trained.epoch == 1.5
    torch.rand(3)  # What happens between must not matter.
    resumed = fit(config, stopped.folder, report_at=report_at)
    assert stopped.reports[:-1] + resumed.reports == whole.reports
    assert_same(state_of(resumed), state_of(whole))
    assert_same(load_best(resumed.folder), load_best(whole.folder))


@settings(max_examples=tries(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(0.01, 1.99), max_size=4), st.integers(0, 5))
def test_a_trial_ends_the_same_wherever_it_is_evaluated_and_interrupted(
    fit: Fit, tiny: Config, report_at: list[float], number: int
) -> None:
    whole = fit(tiny)
    points = sorted({1, 2, *report_at})
    stopped = fit(tiny, stop_after=points[number % len(points)], report_at=report_at)
    resumed = fit(tiny, stopped.folder, report_at=report_at)
    assert [epoch for epoch, _ in stopped.reports[:-1] + resumed.reports] == points
    assert_same(trained_of(resumed), trained_of(whole))


def test_reports_at_one_update_say_the_same_under_each_epoch(fit: Fit, tiny: Config) -> None:
    config = tiny.replace(epochs=2)  # of four updates
    reports = dict(fit(config, report_at=(0.01, 0.3, 0.95, 1.95)).reports)
    assert list(reports) == [0.01, 0.3, 0.95, 1, 1.95, 2]
    assert reports[0.01] == reports[0.3] != reports[0.95] == reports[1]
    assert reports[1.95] == reports[2]


def test_the_training_loss_inside_an_epoch_is_its_mean_so_far(
    fit: Fit, tiny: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    updates: list[Tensor] = []
    step = Step.__call__

    def watched(self: Step, batch: Batch, update: int) -> Tensor:
        updates.append(step(self, batch, update))
        return updates[-1]

    monkeypatch.setattr(Step, "__call__", watched)
    stopped = fit(tiny, stop_after=1.5, report_at=(0.25, 1.5))
    resumed = fit(tiny, stopped.folder, report_at=(0.25, 1.5, 1.75))
    reports = stopped.reports[:-1] + resumed.reports
    assert [epoch for epoch, _ in reports] == [0.25, 1, 1.5, 1.75, 2]
    parts = (slice(0, 1), slice(0, 4), slice(4, 6), slice(4, 7), slice(4, 8))
    for (_, metrics), part in zip(reports, parts, strict=True):
        means = torch.stack(updates[part]).mean(0).tolist()
        reported = [metrics[f"train_loss/{task.name}"] for task in ALL_TASKS]
        assert reported == pytest.approx(means)


def test_a_finished_trial_reports_its_end_again_and_trains_no_more(fit: Fit, tiny: Config) -> None:
    run = fit(tiny)
    before = (run.folder / LAST).read_bytes()
    again = fit(tiny, run.folder)
    assert again.reports == run.reports[-1:]
    assert again.trained == run.trained
    assert (run.folder / LAST).read_bytes() == before


def test_checkpoint_is_two_files(fit: Fit, tiny: Config) -> None:
    run = fit(tiny)
    assert {file.name for file in run.folder.iterdir()} == {BEST, LAST}


def test_a_report_that_raises_ends_the_trial(
    tiny: Config, corpus: Corpus, pretrained: Pretrained, accelerator: Accelerator
) -> None:
    seen: list[float] = []

    def report(epoch: float, metrics: Metrics, save: Save) -> bool:
        seen.append(epoch)
        raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        train(tiny, ALL_TASKS, corpus, pretrained, accelerator, report)
    assert seen == [1]


def test_objective_chooses_the_best_epoch_whose_weights_are_kept(
    fit: Fit, tiny: Config, corpus: Corpus, pretrained: Pretrained, accelerator: Accelerator
) -> None:
    config = tiny.replace(epochs=5, schedule="constant")
    chosen = set()
    for objective in ("mean", "sst", "para", "sts"):
        run = fit(config, objective=objective)
        scores = [metrics[f"score/{objective}"] for _, metrics in run.reports]
        best = max(range(5), key=lambda epoch: scores[epoch])  # the first of several
        assert run.trained.best_epoch == best + 1
        assert run.trained.best_score == scores[best]
        weights, about = load_best(run.folder)
        assert about["epoch"] == str(best + 1)
        assert float(about["score"]) == scores[best]
        network = build_network(config, ALL_TASKS, pretrained)
        network.load_state_dict(weights)
        found = evaluate(network, ALL_TASKS, Sequences.of(config, corpus), DEV, accelerator)
        for task, result in found.items():
            assert result.score == run.reports[best][1][f"score/{task}"]
        chosen.add(run.trained.best_epoch)
    assert len(chosen) > 1, "every objective chose the same epoch: this shows nothing"


def test_pretrained_weights_are_left_alone(fit: Fit, tiny: Config, pretrained: Pretrained) -> None:
    before = {name: weight.copy() for name, weight in pretrained.weights.items()}
    fit(tiny)
    for name, weight in pretrained.weights.items():
        assert weight.tobytes() == before[name].tobytes()


def test_a_loss_that_is_no_number_ends_the_trial(
    fit: Fit, tiny: Config, pretrained: Pretrained
) -> None:
    with pytest.raises(DivergenceError, match="epoch 1: the training loss of sst is nan") as error:
        fit(tiny, encoder=changed(pretrained, LAST_NORM, float("nan")))
    assert (error.value.epoch, error.value.task) == (1, "sst")


def test_a_loss_far_above_a_constant_predictions_ends_the_trial(
    fit: Fit, tiny: Config, pretrained: Pretrained
) -> None:
    with pytest.raises(DivergenceError) as error:
        fit(tiny.replace(head="linear"), encoder=changed(pretrained, LAST_NORM, 1e4))
    assert error.value.task == "sst"
    assert 16 < error.value.loss < float("inf")


def test_the_task_and_the_epoch_that_diverge_are_named(
    fit: Fit, tiny: Config, corpus: Corpus
) -> None:
    run = fit(tiny, stop_after=1)
    state = run.last
    state["network"]["heads.para.network.output.bias"].fill_(1e3)
    torch.save(state, run.folder / LAST)
    with pytest.raises(DivergenceError, match="epoch 2: the training loss of para is") as error:
        fit(tiny, run.folder)
    assert (error.value.epoch, error.value.task) == (2, "para")


@pytest.mark.parametrize("labels", [(2.2, 2.8), (2.5, 2.5)])
def test_labels_that_hardly_vary_are_no_divergence(
    labels: tuple[float, float],
    tiny: Config,
    corpus: Corpus,
    pretrained: Pretrained,
    accelerator: Accelerator,
) -> None:
    splits = dict(corpus.splits["sts"])
    split = splits[TRAIN]
    splits[TRAIN] = dataclasses.replace(split, labels=np.resize(np.float32(labels), len(split)))
    narrow = dataclasses.replace(corpus, splits={**corpus.splits, "sts": splits})
    trained = train(tiny, ALL_TASKS, narrow, pretrained, accelerator, lambda *_: True)
    assert trained.epoch == 2


def collapsed(fit: Fit, config: Config, objective: str) -> Any:
    """After its first epoch, one whose similarities are all 5 from then on."""
    run = fit(config.replace(similarity="head"), stop_after=1, objective=objective)
    state = run.last
    state["network"]["heads.sts.network.output.bias"].fill_(1e3)
    torch.save(state, run.folder / LAST)
    return run


def test_predictions_that_are_all_the_same_end_the_trial(fit: Fit, tiny: Config) -> None:
    for objective in ("mean", "sts"):
        run = collapsed(fit, tiny, objective)
        why = "epoch 2: the score of sts is undefined: all its dev predictions are 5"
        with pytest.raises(UndefinedScoreError, match=why) as error:
            fit(tiny.replace(similarity="head"), run.folder, objective=objective)
        assert (error.value.epoch, error.value.task) == (2, "sts")


def test_a_score_that_the_objective_does_not_need_may_be_undefined(fit: Fit, tiny: Config) -> None:
    run = collapsed(fit, tiny, "sst")
    config = tiny.replace(similarity="head")
    (_, resumed), (epoch, metrics) = fit(config, run.folder, objective="sst").reports
    assert epoch == 2
    assert math.isfinite(resumed["score/mean"])
    assert math.isnan(metrics["score/sts"])
    assert math.isnan(metrics["score/mean"])
    assert 0 <= metrics["score/sst"] <= 1


def test_a_network_that_is_broken_by_its_last_update_has_no_score(
    fit: Fit, tiny: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its classes can be compared with labels, but are none."""
    update = Step.__call__

    def breaking(step: Step, batch: Batch, number: int) -> torch.Tensor:
        losses = update(step, batch, number)
        if number == 3:
            with torch.no_grad():
                step.plain.heads["sst"].network.output.bias.fill_(math.nan)
        return losses

    monkeypatch.setattr(Step, "__call__", breaking)
    why = "epoch 1: the score of sst is undefined: its dev loss is nan"
    with pytest.raises(UndefinedScoreError, match=why):
        fit(tiny.replace(epochs=1), objective="sst")


def test_longer_sequences_than_the_encoder_reads_are_refused(fit: Fit, tiny: Config) -> None:
    with pytest.raises(UserError, match=r"max_length is 129, .* reads at most 128 tokens"):
        fit(tiny.replace(max_length=129))


def test_more_layers_than_there_are_are_refused(fit: Fit, tiny: Config) -> None:
    with pytest.raises(UserError, match="trainable_layers is 3, but this encoder has 2 layers"):
        fit(tiny.replace(trainable_layers=3))


def test_best_weights_are_those_of_the_network_by_name(fit: Fit, tiny: Config) -> None:
    run = fit(tiny.replace(epochs=1))
    assert_same(load_file(run.folder / BEST), run.weights)
