"""Gradient surgery: conflicts by hand, and what is left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from model.data.batches import epoch_batches
from model.data.corpus import Corpus
from model.encoder.pretrained import Pretrained
from model.layers.packing import Packed
from model.network.network import build_network
from model.tasks.shipped import ALL_TASKS
from model.training.gradients import PCGrad, Plain, build_gradients
from model.training.pcgrad import project
from spaces import Config

Vectors = list[list[float]]


def combined(gradients: Vectors, seed: int = 0) -> np.ndarray:
    rows = np.array(gradients)
    return np.array(project((rows @ rows.T).tolist(), (seed,))) @ rows


def by_the_book(gradients: Vectors, seed: int) -> np.ndarray:
    """Algorithm 1 of the paper, on the vectors themselves."""
    rows = np.array(gradients)
    generator = np.random.default_rng((seed,))
    total = np.zeros(rows.shape[1])
    for task, row in enumerate(rows):
        own = row.copy()
        others = [other for other in range(len(rows)) if other != task]
        for other in generator.permutation(others):
            product = own @ rows[other]
            if product < 0:
                own = own - product / (rows[other] @ rows[other]) * rows[other]
        total += own
    return total


def test_two_conflicting_gradients_by_hand() -> None:
    """(1, 0) and (-1, 1): the first becomes (1/2, 1/2), the second (0, 1)."""
    assert combined([[1, 0], [-1, 1]]) == pytest.approx([0.5, 1.5])


def test_opposite_gradients_leave_nothing() -> None:
    assert combined([[1, 2], [-2, -4]]) == pytest.approx([0, 0])


@pytest.mark.parametrize("gradients", [[[1, 0], [0, 1], [1, 1]], [[1, 2]], [[0, 0], [1, -1]]])
def test_without_conflict_it_is_the_plain_sum(gradients: Vectors) -> None:
    rows = np.array(gradients, dtype=float)
    assert project((rows @ rows.T).tolist(), (0,)) == [1.0] * len(rows)


number = st.floats(-10, 10).filter(lambda x: x == 0 or abs(x) > 1e-3)


@given(st.lists(st.lists(number, min_size=4, max_size=4), min_size=1, max_size=4), st.integers(0))
def test_scalar_products_are_enough(gradients: Vectors, seed: int) -> None:
    assert combined(gradients, seed) == pytest.approx(by_the_book(gradients, seed), abs=1e-6)


def test_the_order_of_the_tasks_matters_and_comes_from_the_seed() -> None:
    gradients: Vectors = [[1, 0, 0], [-1, 1, 0], [-1, -1, 1]]
    found = {tuple(combined(gradients, seed).round(9)) for seed in range(20)}
    assert len(found) > 1
    assert (combined(gradients, 3) == combined(gradients, 3)).all()


def test_only_what_several_tasks_train_is_projected(accelerator: Accelerator) -> None:
    """One shared weight with the gradients of the example by hand, and one of each task."""
    network = nn.ParameterDict(
        {name: nn.Parameter(torch.zeros(2)) for name in ("shared", "a", "b", "idle")}
    )
    terms = [
        network["shared"] @ torch.tensor([1.0, 0.0]) + 3 * network["a"].sum(),
        network["shared"] @ torch.tensor([-1.0, 1.0]) + 5 * network["b"].sum(),
    ]
    PCGrad(network, accelerator, seed=0)(terms, 0)
    found = {name: p.grad for name, p in network.items()}
    expected = {"shared": [0.5, 1.5], "a": [3.0, 3.0], "b": [5.0, 5.0]}
    assert found.pop("idle") is None
    assert {name: g.tolist() for name, g in found.items() if g is not None} == expected


def test_where_tasks_share_nothing_it_is_the_plain_gradient(accelerator: Accelerator) -> None:
    network = nn.ParameterDict({name: nn.Parameter(torch.zeros(1)) for name in ("a", "b")})
    PCGrad(network, accelerator, seed=0)([3 * network["a"].sum(), -5 * network["b"].sum()], 0)
    found = [p.grad.item() for p in network.values() if p.grad is not None]
    assert found == [3.0, -5.0]


def gradients(
    config: Config, corpus: Corpus, pretrained: Pretrained, to: Accelerator
) -> dict[str, Tensor]:
    """What a first update sets, by name."""
    network = build_network(config, ALL_TASKS, pretrained).train()
    batch = next(epoch_batches(config, ALL_TASKS, corpus, 1, to.device))
    set_gradients = build_gradients(config, network, to)
    torch.manual_seed(0)
    outputs = set_gradients.network(batch)
    losses = {t.name: t.loss(outputs[t.name], batch.tasks[t.name].labels).mean() for t in ALL_TASKS}
    set_gradients(network.weighting(losses, 1), 0)
    return {n: p.grad for n, p in network.named_parameters() if p.grad is not None}


def test_with_one_task_that_counts_it_is_the_plain_gradient(
    tiny: Config, corpus: Corpus, pretrained: Pretrained, accelerator: Accelerator
) -> None:
    """The others' gradients are zero, which is no conflict."""
    config = tiny.replace(
        loss_weighting="tuned", loss_weights=(0.0, 1.0, 0.0), dropout=0.0, head_dropout=0.0
    )
    plain = gradients(config, corpus, pretrained, accelerator)
    config = config.replace(gradient_surgery="pcgrad")
    projected = gradients(config, corpus, pretrained, accelerator)
    assert plain.keys() == projected.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(projected[name], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("weighting", ["equal", "uncertainty", "dynamic"])
def test_heads_of_one_task_get_their_plain_gradient(
    weighting: str, tiny: Config, corpus: Corpus, pretrained: Pretrained, accelerator: Accelerator
) -> None:
    config = tiny.replace(loss_weighting=weighting, dropout=0.0, head_dropout=0.0)
    plain = gradients(config, corpus, pretrained, accelerator)
    config = config.replace(gradient_surgery="pcgrad")
    projected = gradients(config, corpus, pretrained, accelerator)
    assert plain.keys() == projected.keys()
    own = [n for n in plain if n.startswith(("heads.sst", "weighting"))]
    for name in own:
        torch.testing.assert_close(projected[name], plain[name], rtol=1e-4, atol=1e-6)
    assert not projected["encoder.layers.1.feed_forward.expand.weight"].allclose(
        plain["encoder.layers.1.feed_forward.expand.weight"]
    )


def test_one_backward_a_task(
    tiny: Config,
    corpus: Corpus,
    pretrained: Pretrained,
    accelerator: Accelerator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passes: list[bool] = []
    grad = torch.autograd.grad

    def watched(*arguments: Any, **options: Any) -> Any:
        passes.append(options["retain_graph"])
        return grad(*arguments, **options)

    monkeypatch.setattr(torch.autograd, "grad", watched)
    gradients(tiny.replace(gradient_surgery="pcgrad"), corpus, pretrained, accelerator)
    assert passes == [True, True, False]


def test_no_task_s_backward_meets_another_s_sentences(
    tiny: Config, corpus: Corpus, pretrained: Pretrained, accelerator: Accelerator
) -> None:
    """Each task is encoded alone, and its outputs are as if all were encoded together."""
    together = build_network(tiny, ALL_TASKS, pretrained).eval()
    apart = build_network(tiny.replace(gradient_surgery="pcgrad"), ALL_TASKS, pretrained).eval()
    batch = next(epoch_batches(tiny, ALL_TASKS, corpus, 1, accelerator.device))
    encoded: list[int] = []
    apart.encoder.register_forward_hook(lambda module, given, out: encoded.append(len(out)))
    outputs = apart(batch)
    assert isinstance(batch.sentences, Packed)
    parts = batch.sentences.split([part.sequences for part in batch.tasks.values()])
    assert encoded == [len(part.tokens) for part in parts]
    for name, expected in together(batch).items():
        torch.testing.assert_close(outputs[name], expected, rtol=1e-5, atol=1e-6)


def test_without_surgery_gradients_are_accelerate_s(tiny: Config, accelerator: Accelerator) -> None:
    assert isinstance(build_gradients(tiny, nn.Linear(1, 1), accelerator), Plain)
