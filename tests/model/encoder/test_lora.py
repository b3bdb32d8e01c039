"""LoRA trains two thin matrices beside each map, and nothing else of the encoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from model.data.batches import epoch_batches
from model.data.corpus import DEV, Corpus
from model.data.sequences import Sequences
from model.encoder.pretrained import Pretrained
from model.layers.packing import pack
from model.network.network import Network, build_network
from model.storage.checkpoint import load_best
from model.tasks.shipped import ALL_TASKS
from model.training.evaluate import evaluate
from spaces import Config
from tests.model.other_encoders import LENGTHS, sentences, trained_families
from tests.model.training.test_train import assert_same, trained_of

Fit = Any  # conftest's
EncoderOf = Callable[[str], Pretrained]


def network_of(config: Config, pretrained: Pretrained) -> Network:
    return build_network(config, ALL_TASKS, pretrained)


def is_adapter(name: str) -> bool:
    return "lora_" in name


def merged(network: Network) -> dict[str, Tensor]:
    """The weights of a network without adapters that computes the same."""
    weights = {n: w for n, w in network.state_dict().items() if not is_adapter(n)}
    for name, module in network.named_modules():
        if hasattr(module, "lora_A"):
            a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
            weights[f"{name}.base_layer.weight"] = module.base_layer.weight + 16 / len(a) * b @ a
    return {name.replace(".base_layer", ""): weight for name, weight in weights.items()}


def test_nothing_changes_at_the_start(tiny: Config, corpus: Corpus, pretrained: Pretrained) -> None:
    batch = next(epoch_batches(tiny, ALL_TASKS, corpus, 1, torch.device("cpu")))
    outputs = [
        network_of(tiny.replace(lora_rank=rank), pretrained).eval()(batch) for rank in (0, 4, 32)
    ]
    for task, output in outputs[0].items():
        assert torch.equal(outputs[1][task], output)
        assert torch.equal(outputs[2][task], output)


def test_every_map_of_the_layers_is_adapted_with_the_rank(
    tiny: Config, pretrained: Pretrained
) -> None:
    plain = network_of(tiny, pretrained).encoder
    network = network_of(tiny.replace(lora_rank=8), pretrained)
    maps = {n: m for n, m in plain.layers.named_modules() if isinstance(m, nn.Linear)}
    for name, each in maps.items():
        adapted = network.encoder.layers.get_submodule(name)
        assert adapted.lora_A["default"].weight.shape == (8, each.in_features)
        assert adapted.lora_B["default"].weight.shape == (each.out_features, 8)
    trained = {n for n, p in network.encoder.named_parameters() if p.requires_grad}
    assert len(trained) == 2 * len(maps)
    assert all(is_adapter(name) for name in trained)


def test_the_seed_draws_the_adapters(tiny: Config, pretrained: Pretrained) -> None:
    before = torch.get_rng_state()
    first, again, other = (
        network_of(tiny.replace(lora_rank=4, seed=seed), pretrained).state_dict()
        for seed in (0, 0, 1)
    )
    drawn = [name for name in first if "lora_A" in name]
    assert drawn
    for name in drawn:
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], other[name])
    assert torch.equal(torch.get_rng_state(), before)


def test_only_adapters_and_heads_are_trained(
    fit: Fit, tiny: Config, pretrained: Pretrained
) -> None:
    config = tiny.replace(lora_rank=4, weight_decay=0.1)
    before = network_of(config, pretrained).state_dict()
    run = fit(config)
    weights, _ = load_best(run.folder)
    changed = {name for name, weight in before.items() if not torch.equal(weights[name], weight)}
    encoders = {name for name in changed if name.startswith("encoder.")}
    assert encoders == {name for name in before if is_adapter(name)}
    assert any(name.startswith("heads.") for name in changed)
    assert not any("base_layer" in name or "embeddings" in name for name in run.weights)


def test_trained_adapters_are_one_matrix_with_their_map(
    fit: Fit, tiny: Config, pretrained: Pretrained, corpus: Corpus
) -> None:
    """The formula: W + 16 / rank B A computes the same without adapters."""
    config = tiny.replace(lora_rank=8, encoder_learning_rate=1e-2)
    network, plain = network_of(config, pretrained), network_of(tiny, pretrained)
    weights, _ = load_best(fit(config).folder)
    network.load_state_dict(weights)
    plain.load_state_dict(merged(network))
    packed = pack(sentences(LENGTHS[:2] + LENGTHS[3:6]))
    with torch.no_grad():
        adapted = network.eval().embed(packed)
        start = network_of(config, pretrained).eval().embed(packed)
        torch.testing.assert_close(adapted, plain.eval().embed(packed), rtol=0, atol=1e-5)
    assert not torch.allclose(adapted, start, atol=1e-3)


def test_best_weights_give_the_reported_score(
    fit: Fit, tiny: Config, pretrained: Pretrained, corpus: Corpus, accelerator: Any
) -> None:
    config = tiny.replace(lora_rank=4)
    run = fit(config)
    weights, about = load_best(run.folder)
    network = network_of(config, pretrained)
    network.load_state_dict(weights)
    sequences = Sequences.of(config, corpus)
    found = evaluate(network, ALL_TASKS, sequences, DEV, accelerator)
    score = sum(result.score for result in found.values()) / len(found)
    assert score == run.trained.best_score == float(about["score"])


def test_stopped_and_resumed_equals_never_stopped(fit: Fit, tiny: Config) -> None:
    config = tiny.replace(lora_rank=4)
    whole = fit(config, report_at=(0.5,))
    part = fit(config, report_at=(0.5,), stop_after=0.5)
    rest = fit(config, part.folder, report_at=(0.5,))
    assert part.reports[:-1] + rest.reports == whole.reports
    assert_same(trained_of(rest), trained_of(whole))


def test_bf16_adapters_compute_in_bf16(tiny: Config, pretrained: Pretrained) -> None:
    encoder = network_of(tiny.replace(lora_rank=4), pretrained).encoder
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = encoder(pack(sentences([4, 9, 9])))
    assert states.dtype == torch.bfloat16
    states.float().square().mean().backward()
    trained = [p for p in encoder.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in trained)


@trained_families
def test_other_encoders_train_their_adapters(
    family: str, encoder_of: EncoderOf, fit: Fit, tiny: Config
) -> None:
    config = tiny.replace(lora_rank=4, epochs=1, samples_per_epoch=8, batch_size=4)
    encoder = encoder_of(family)
    network = network_of(config, encoder)
    packed = pack(sentences(LENGTHS))
    with torch.no_grad():
        plain = network_of(tiny, encoder).eval().embed(packed)
        assert torch.equal(network.eval().embed(packed), plain)
    before = network.state_dict()
    weights, _ = load_best(fit(config, encoder=encoder).folder)
    changed = {name for name, weight in before.items() if not torch.equal(weights[name], weight)}
    encoders = {name for name in changed if name.startswith("encoder.")}
    assert encoders == {name for name in before if is_adapter(name)}
