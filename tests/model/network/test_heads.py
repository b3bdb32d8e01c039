"""The networks on top of the embeddings, and the report's baseline by exact computation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.network.heads import (
    _PAIR_FEATURES,
    CosineHead,
    FeedForward,
    PairHead,
    SentenceHead,
    build_heads,
)
from model.tasks.shipped import ALL_TASKS, PARA, SST, STS
from model.tasks.task import Task
from spaces import Config

HIDDEN = 8
Inputs = Mapping[str, tuple[Tensor, Tensor]]


def inputs(examples: int = 6) -> dict[str, tuple[Tensor, Tensor]]:
    """Random embeddings and Jaccard similarities for every task."""
    generator = torch.Generator().manual_seed(0)
    return {
        task.name: (
            torch.randn(task.sentences * examples, HIDDEN, generator=generator),
            torch.rand(examples, generator=generator),
        )
        for task in ALL_TASKS
    }


def heads(seed: int = 0, tasks: Sequence[Task] = ALL_TASKS, **changes: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_heads(Config(**{"similarity": "head"} | changes), HIDDEN, tasks)


def outputs(made: Any, given: Inputs) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for head in made.values():
        found |= head(given)
    return found


def mean_loss(task: Task, found: Mapping[str, Tensor]) -> Tensor:
    count = len(found[task.name])
    labels = {"sst": torch.arange(count) % 5, "para": torch.arange(count) % 2}
    label = labels.get(task.name, torch.linspace(0, 5, count))
    return task.loss(found[task.name], label.float()).mean()


def swapped(given: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    first, second = given[0].chunk(2)
    return torch.cat([second, first]), given[1]


def only(head: nn.Module, task: Task, given: tuple[Tensor, Tensor]) -> Tensor:
    result: Tensor = head({task.name: given})[task.name]
    return result


def test_feed_forward_is_a_normalised_block_added_to_its_input() -> None:
    head: Any = FeedForward(4, 3, dropout=0.5)
    features = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        head.norm.running_mean.copy_(torch.tensor([0.1, -0.2, 0.3, 0]))
        head.norm.running_var.copy_(torch.tensor([1.0, 2, 0.5, 4]))
        inner = features @ head.inner.weight.T
        inner = (inner - head.norm.running_mean) / (head.norm.running_var + 1e-5).sqrt()
        expected = (features + inner.clamp(min=0)) @ head.output.weight.T + head.output.bias
        torch.testing.assert_close(head.eval()(features), expected)


def test_every_parameter_of_a_head_has_an_effect_in_training() -> None:
    """Otherwise its gradient is rounding, of which AdamW makes full steps."""
    head = FeedForward(4, 3, dropout=0.0)
    features = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    direction = torch.randn(9, 3, generator=torch.Generator().manual_seed(1))
    (head(features) * direction).sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 1e-3, name


def test_head_dropout_acts_in_training_only() -> None:
    features = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    dropping, keeping = FeedForward(4, 3, dropout=0.5), FeedForward(4, 3, dropout=0.0)
    assert not torch.equal(dropping(features), dropping(features))
    assert torch.equal(dropping.eval()(features), dropping(features))
    assert torch.equal(keeping(features), keeping(features))


def test_heads_are_one_a_task_or_one_for_all_pairs() -> None:
    assert list(heads(shared_pair_head=True)) == ["sst", "para+sts"]
    assert list(heads(shared_pair_head=False)) == ["sst", "para", "sts"]
    assert list(heads(tasks=[STS])) == ["sts"]
    assert list(heads(tasks=[SST])) == ["sst"]


@pytest.mark.parametrize("head", ["linear", "feed-forward"])
def test_every_task_has_an_output_an_example(head: str) -> None:
    for shared in (True, False):
        found = outputs(heads(head=head, shared_pair_head=shared), inputs(6))
        assert {n: tuple(o.shape) for n, o in found.items()} == {
            "sst": (6, 5),
            "para": (6, 1),
            "sts": (6, 1),
        }


def test_baseline_is_computed_from_embeddings_as_the_report_says() -> None:
    """Report, 4.1: linear on the embedding, linear on the difference, linear on the cosine."""
    made = heads(
        head="linear",
        shared_pair_head=False,
        jaccard=False,
        pair_features="difference",
        similarity="cosine",
    )
    given = inputs()
    found = outputs(made, given)
    for head in made.values():
        assert isinstance(head.network, nn.Linear)
    weights = {name: (head.network.weight, head.network.bias) for name, head in made.items()}

    weight, bias = weights["sst"]
    torch.testing.assert_close(found["sst"], given["sst"][0] @ weight.T + bias)

    weight, bias = weights["para"]
    first, second = given["para"][0][:6], given["para"][0][6:]
    torch.testing.assert_close(found["para"], (first - second) @ weight.T + bias)

    weight, bias = weights["sts"]
    assert weight.shape == (1, 1)
    first, second = given["sts"][0][:6], given["sts"][0][6:]
    cosine = (first * second).sum(1) / (first.norm(dim=1) * second.norm(dim=1))
    torch.testing.assert_close(found["sts"], cosine[:, None] * weight[0, 0] + bias)


def test_similarity_alone_comes_from_the_cosine_and_only_where_its_head_is_its_own() -> None:
    made = heads(similarity="cosine", shared_pair_head=False)
    assert isinstance(made["sts"], CosineHead)
    assert isinstance(made["para"], PairHead)
    assert isinstance(heads(shared_pair_head=False)["sts"], PairHead)
    for idle in ({"shared_pair_head": True}, {"pair_encoding": "joint"}):
        for changed in ({}, {"similarity": "cosine"}):
            shapes = [p.shape for p in heads(**idle, **changed).parameters()]
            assert shapes == [p.shape for p in heads(**idle).parameters()]


def test_cosine_head_starts_as_the_cosine_on_the_scale_of_the_task() -> None:
    head: Any = CosineHead(Config(jaccard=True), STS)
    same = torch.tensor([[3.0, 4.0]])
    across = torch.tensor([[-4.0, 3.0]])
    given = torch.cat([same, same, same, across])  # the pairs (same, same) and (same, across)
    found = head({"sts": (given, torch.tensor([0.7, 0.7]))})["sts"]
    torch.testing.assert_close(found, torch.tensor([[5.0], [0.0]]))


def test_cosine_head_adds_the_jaccard_similarity_where_asked_for() -> None:
    head: Any = CosineHead(Config(jaccard=True), STS)
    torch.nn.init.normal_(head.network.weight)
    embeddings, jaccard = inputs()["sts"]
    cosine = F.cosine_similarity(embeddings[:6], embeddings[6:])
    expected = torch.stack([cosine, jaccard], 1) @ head.network.weight.T + head.network.bias
    torch.testing.assert_close(only(head, STS, (embeddings, jaccard)), expected)


@pytest.mark.parametrize("shared", [True, False])
def test_similarity_of_a_network_is_its_output_through_a_sigmoid_times_five(shared: bool) -> None:
    made = heads(shared_pair_head=shared).eval()
    head = made["para+sts" if shared else "sts"]
    assert isinstance(head, PairHead)
    given = inputs()["sts"]
    features = (given[0][:6] - given[0][6:]).abs()
    logits = head.network(torch.cat([features, given[1][:, None]], 1))
    torch.testing.assert_close(outputs(made, inputs())["sts"], 5 * torch.sigmoid(logits))


def test_shared_head_gives_both_tasks_the_same_function() -> None:
    made = heads(shared_pair_head=True).eval()
    pair = inputs()["para"]
    found = outputs(made, {**inputs(), "para": pair, "sts": pair})
    torch.testing.assert_close(found["sts"], 5 * found["para"].sigmoid())


def test_shared_head_has_the_parameters_of_one() -> None:
    def size(**changes: Any) -> int:
        return sum(int(p.numel()) for p in heads(**changes).parameters())

    one_pair_head = sum(p.numel() for p in heads(tasks=[PARA]).parameters())
    assert size(shared_pair_head=False) - size(shared_pair_head=True) == one_pair_head


@pytest.mark.parametrize("head", ["linear", "feed-forward"])
def test_shared_head_receives_the_sum_of_both_tasks_gradients(head: str) -> None:
    shared = heads(head=head, shared_pair_head=True)["para+sts"].eval()
    given = inputs()
    parameters = list(shared.parameters())

    def gradients(*tasks: Task) -> list[Tensor]:
        """Of the tasks' losses, each from a head that sees that task alone."""
        losses = []
        for task in tasks:
            alone: Any = PairHead(Config(head=head), HIDDEN, [task]).eval()
            alone.network = shared.network
            losses.append(mean_loss(task, alone({task.name: given[task.name]})))
        return list(torch.autograd.grad(torch.stack(losses).sum(), parameters))

    found = shared(given)
    together = torch.autograd.grad(mean_loss(PARA, found) + mean_loss(STS, found), parameters)
    for sum_, para, sts in zip(together, gradients(PARA), gradients(STS), strict=True):
        assert para.any()
        assert sts.any()
        torch.testing.assert_close(sum_, para + sts)


def test_separate_heads_receive_their_own_tasks_gradient_only() -> None:
    made = heads(shared_pair_head=False)
    mean_loss(STS, outputs(made, inputs())).backward()
    assert all(p.grad is not None and p.grad.any() for p in made["sts"].network.output.parameters())
    assert all(p.grad is None for p in made["para"].parameters())
    assert all(p.grad is None for p in made["sst"].parameters())


def test_shared_head_normalises_the_mixture_of_its_tasks() -> None:
    head = heads(shared_pair_head=True, head_dropout=0.0, jaccard=False)["para+sts"]
    given = inputs()
    pairs = torch.cat([given["para"][0][:6], given["sts"][0][:6]])
    others = torch.cat([given["para"][0][6:], given["sts"][0][6:]])
    mixture = head.network((pairs - others).abs())
    found = head(given)
    torch.testing.assert_close(found["para"], mixture[:6])
    torch.testing.assert_close(found["sts"], 5 * mixture[6:].sigmoid())
    alone: Any = PairHead(Config(jaccard=False), HIDDEN, [PARA])
    alone.network = head.network
    assert not torch.allclose(alone(given)["para"], found["para"], atol=1e-3)


@pytest.mark.parametrize("head", ["linear", "feed-forward"])
def test_absolute_difference_is_the_same_for_swapped_sentences(head: str) -> None:
    given = inputs()["para"]
    for seed in range(3):
        symmetric = heads(seed, [PARA], head=head)["para"].eval()
        assert torch.equal(only(symmetric, PARA, given), only(symmetric, PARA, swapped(given)))
        plain = heads(seed, [PARA], head=head, pair_features="difference")["para"].eval()
        difference = only(plain, PARA, given) - only(plain, PARA, swapped(given))
        assert difference.abs().min() > 1e-4


def test_difference_is_the_first_sentence_less_the_second() -> None:
    head = heads(tasks=[PARA], head="linear", pair_features="difference", jaccard=False)["para"]
    with torch.no_grad():
        head.network.weight.fill_(1)
        head.network.bias.zero_()
    embeddings = torch.cat([torch.full((1, HIDDEN), 3.0), torch.full((1, HIDDEN), 1.0)])
    assert only(head, PARA, (embeddings, torch.zeros(1))).item() == 2 * HIDDEN


def test_concatenation_is_both_their_absolute_difference_and_their_product() -> None:
    head = heads(tasks=[PARA], head="linear", pair_features="concatenation", jaccard=False)["para"]
    given = inputs()["para"]
    u, v = given[0][:6], given[0][6:]
    parts = [u, v, (u - v).abs(), u * v]
    weights = head.network.weight.split(HIDDEN, dim=1)
    assert len(weights) == len(parts)
    expected = sum(part @ weight.T for part, weight in zip(parts, weights, strict=True))
    torch.testing.assert_close(only(head, PARA, given), expected + head.network.bias)
    u, v = torch.tensor([[3.0, -1]]), torch.tensor([[1.0, 2]])
    _, features = _PAIR_FEATURES["concatenation"]
    assert features(torch.cat([u, v])).tolist() == [[3, -1, 1, 2, 2, 3, 3, -2]]


@pytest.mark.parametrize("shared", [True, False])
def test_a_joint_pair_s_one_embedding_is_what_its_network_sees(shared: bool) -> None:
    made = heads(pair_encoding="joint", shared_pair_head=shared, pair_features="concatenation")
    made.eval()
    generator = torch.Generator().manual_seed(0)
    given = {
        task.name: (torch.randn(6, HIDDEN, generator=generator), torch.rand(6))
        for task in ALL_TASKS
    }
    found = outputs(made, given)
    for task in ("para", "sts"):
        network = made["para+sts" if shared else task].network
        logits = network(torch.cat([given[task][0], given[task][1][:, None]], 1))
        expected = logits if task == "para" else 5 * logits.sigmoid()
        torch.testing.assert_close(found[task], expected)


def test_without_jaccard_is_the_head_that_gives_that_input_no_weight() -> None:
    on = heads(tasks=[PARA], head="linear", jaccard=True)["para"]
    off = heads(tasks=[PARA], head="linear", jaccard=False)["para"]
    assert on.network.in_features == off.network.in_features + 1 == HIDDEN + 1
    given = inputs()["para"]
    with torch.no_grad():
        off.network.weight.copy_(on.network.weight[:, :HIDDEN])
        off.network.bias.copy_(on.network.bias)
        jaccards_part = given[1][:, None] * on.network.weight[0, HIDDEN]
        torch.testing.assert_close(only(on, PARA, given), only(off, PARA, given) + jaccards_part)
        on.network.weight[:, HIDDEN] = 0
        torch.testing.assert_close(only(on, PARA, given), only(off, PARA, given))


def test_without_jaccard_it_has_no_effect() -> None:
    head = heads(tasks=[PARA], jaccard=False)["para"].eval()
    embeddings, jaccard = inputs()["para"]
    a, b = (only(head, PARA, (embeddings, j)) for j in (jaccard, 1 - jaccard))
    assert torch.equal(a, b)


def test_sentiment_sees_no_jaccard_and_no_pair() -> None:
    head = heads(jaccard=True)["sst"]
    assert isinstance(head, SentenceHead)
    inner: Any = head.network.inner
    assert inner.in_features == HIDDEN
