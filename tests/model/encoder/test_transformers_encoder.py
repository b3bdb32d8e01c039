"""Encoders of other families compute what transformers' own models do, behind our interface."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import BPE, WordLevel
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import RobertaProcessing
from torch import Tensor
from transformers import CONFIG_MAPPING, AutoModel, RobertaForMaskedLM

from model.encoder.pretrained import Pretrained, build, load_encoder
from model.encoder.tokenizer import load_tokenizer
from model.encoder.transformers_encoder import FAMILIES
from model.layers.packing import Packed, pack, pack_pairs
from model.network.network import build_network
from model.storage.checkpoint import load_best
from model.tasks.shipped import ALL_TASKS
from model.training.optimizer import build_optimizer
from spaces import Config, UserError
from tests.model.other_encoders import (
    CONFIGS,
    LENGTHS,
    NUMBERS,
    SIZES,
    families,
    save_model,
    sentences,
    trained_families,
)

Fit = Any  # conftest's

COUNTS_FROM_PADDING = {"camembert", "mpnet", "roberta", "xlm-roberta"}


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pretrained]:
    """The encoder of a family, whose own model lies in its folder."""
    made: dict[str, Pretrained] = {}

    def load(family: str) -> Pretrained:
        if family not in made:
            folder = save_model(family, tmp_path_factory.mktemp(family))
            made[family] = load_encoder(str(folder))
        return made[family]

    return load


Loaded = Callable[[str], Pretrained]


def own(pretrained: Pretrained) -> Any:
    return AutoModel.from_pretrained(pretrained.folder, attn_implementation="eager").eval()


def padded(model: Any, given: list[np.ndarray], **more: Any) -> tuple[Any, Tensor]:
    """transformers' answer for a padded batch, and which of its tokens are no padding."""
    tokens = torch.full((len(given), max(map(len, given))), NUMBERS["pad_token_id"])
    real = torch.zeros_like(tokens)
    for row, sentence in enumerate(given):
        tokens[row, : len(sentence)] = torch.from_numpy(sentence)
        real[row, : len(sentence)] = 1
    return model(input_ids=tokens, attention_mask=real, **more), real.bool()


def assert_close(ours: Tensor, theirs: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance)


def test_every_family_is_tested() -> None:
    assert set(CONFIGS) == set(FAMILIES)


@families
@pytest.mark.parametrize("gradients", [True, False])
def test_states_equal_the_models_own(family: str, gradients: bool, loaded: Loaded) -> None:
    pretrained = loaded(family)
    with torch.set_grad_enabled(gradients):
        ours = build(pretrained, dropout=0.1).eval()(pack(sentences(LENGTHS)))
    theirs, real = padded(own(pretrained), sentences(LENGTHS))
    assert_close(ours.detach(), theirs.last_hidden_state[real].detach())


@families
def test_gradients_equal_the_models_own(family: str, loaded: Loaded) -> None:
    pretrained = loaded(family)
    encoder, model = build(pretrained, dropout=0.1).eval(), own(pretrained)
    direction = torch.randn(sum(LENGTHS), 16, generator=torch.Generator().manual_seed(0))
    (encoder(pack(sentences(LENGTHS))) * direction).sum().backward()
    theirs, real = padded(model, sentences(LENGTHS))
    (theirs.last_hidden_state[real] * direction).sum().backward()
    gradients = {f"model.{name}": p.grad for name, p in model.named_parameters()}
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-3, atol=1e-3)


@families
def test_last_layers_are_averaged(family: str, loaded: Loaded) -> None:
    pretrained = loaded(family)
    ours = build(pretrained, dropout=0.1).eval()(pack(sentences(LENGTHS)), averaged=2)
    theirs, real = padded(own(pretrained), sentences(LENGTHS), output_hidden_states=True)
    expected = (theirs.hidden_states[-1] + theirs.hidden_states[-2]) / 2
    assert_close(ours.detach(), expected[real].detach())


@families
def test_noise_is_added_to_the_word_embeddings(family: str, loaded: Loaded) -> None:
    """The difference of two words' embeddings turns one into the other."""
    encoder = build(loaded(family), dropout=0.1).eval()
    one, other = pack(sentences(LENGTHS)), pack([s[::-1].copy() for s in sentences(LENGTHS)])
    noise = encoder.word(other.tokens) - encoder.word(one.tokens)
    assert not torch.allclose(encoder(one), encoder(other), atol=1e-3)
    assert_close(encoder(one, noise).detach(), encoder(other).detach())


@families
@torch.no_grad()
def test_without_gradients_company_changes_no_bit(family: str, loaded: Loaded) -> None:
    encoder = build(loaded(family), dropout=0.1).eval()
    given = sentences(LENGTHS)
    together = encoder(pack(given)).split(LENGTHS)
    chosen = [8, 2, 5, 0]
    apart = encoder(pack([given[i] for i in chosen])).split([LENGTHS[i] for i in chosen])
    for number, states in zip(chosen, apart, strict=True):
        assert torch.equal(states, together[number])


@families
def test_dropout_acts_in_training_and_comes_from_the_seed(family: str, loaded: Loaded) -> None:
    packed = pack(sentences(LENGTHS))

    def states(dropout: float, seed: int) -> Tensor:
        torch.manual_seed(seed)
        result: Tensor = build(loaded(family), dropout).train()(packed)
        return result

    assert torch.equal(states(0.2, 1), states(0.2, 1))
    assert not torch.allclose(states(0.2, 1), states(0.2, 2))
    assert torch.equal(states(0.0, 1), states(0.0, 2))


@families
def test_embeddings_and_layers_are_all_that_there_is(family: str, loaded: Loaded) -> None:
    encoder = build(loaded(family), dropout=0.1)
    parts = [encoder.embeddings, *encoder.layers]
    found = [p for part in parts for p in part.parameters()]
    assert len(encoder.layers) == encoder.shape.layers == SIZES["num_hidden_layers"]
    assert len(found) == len(set(found))
    assert set(found) == set(encoder.parameters())
    assert not any("pooler" in name for name, _ in encoder.named_parameters())


@families
def test_size_is_read_from_the_checkpoint(family: str, loaded: Loaded) -> None:
    shape = loaded(family).shape
    unused = NUMBERS["pad_token_id"] + 1 if family in COUNTS_FROM_PADDING else 0
    assert (shape.vocabulary, shape.hidden) == (60, 16)
    assert shape.positions == 34 - unused
    with pytest.raises(ValueError, match=f"35 tokens is longer than .* {shape.positions} pos"):
        build(loaded(family), dropout=0.1)(pack(sentences([3, 35])))


@families
def test_pretrained_survives_a_process_boundary(family: str, loaded: Loaded) -> None:
    """And is built again without its folder, without random numbers, with weights of its own."""
    copy = pickle.loads(pickle.dumps(loaded(family)))
    copy = dataclasses.replace(copy, folder="gone")
    for array in copy.weights.values():
        array.flags.writeable = False
    packed, before = pack(sentences(LENGTHS)), torch.get_rng_state()
    encoder = build(copy, dropout=0.1).eval()
    assert torch.equal(torch.get_rng_state(), before)
    expected = build(loaded(family), dropout=0.1).eval()(packed)
    assert torch.equal(encoder(packed), expected)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(1)
    assert torch.equal(build(copy, dropout=0.1).eval()(packed), expected)


def test_token_types_reach_a_model_that_has_them(loaded: Loaded) -> None:
    pretrained = loaded("electra")
    first, second = sentences([9, 4])
    ours = build(pretrained, dropout=0.1).eval()(pack_pairs([(first, second)]))
    types = torch.tensor([[0] * 9 + [1] * 4])
    theirs, _ = padded(own(pretrained), [np.concatenate([first, second])], token_type_ids=types)
    assert_close(ours.detach(), theirs.last_hidden_state[0].detach())


def test_a_model_without_token_types_reads_none(loaded: Loaded) -> None:
    encoder = build(loaded("roberta"), dropout=0.1).eval()
    first, second = sentences([9, 4])
    plain: Packed = pack([np.concatenate([first, second])])
    assert torch.equal(encoder(pack_pairs([(first, second)])), encoder(plain))


@trained_families
def test_trial_goes_on_to_the_bit_where_it_was_left(
    family: str, encoder_of: Loaded, fit: Fit, tiny: Config
) -> None:
    encoder = encoder_of(family)
    config = tiny.replace(samples_per_epoch=8, batch_size=4)
    whole = fit(config, encoder=encoder)
    part = fit(config, encoder=encoder, stop_after=1)
    rest = fit(config, part.folder, encoder=encoder)
    assert rest.reports[-1] == whole.reports[-1]
    for name, weight in whole.weights.items():
        assert torch.equal(rest.weights[name], weight)
    before = build(encoder, 0.1).state_dict()
    assert any(not torch.equal(w, whole.weights[f"encoder.{n}"]) for n, w in before.items())


@trained_families
@pytest.mark.parametrize(("trainable", "trained"), [("none", set()), (1, {2}), (2, {1, 2})])
def test_only_the_last_layers_asked_for_are_trained(
    family: str,
    trainable: str | int,
    trained: set[int],
    encoder_of: Loaded,
    fit: Fit,
    tiny: Config,
) -> None:
    encoder = encoder_of(family)
    config = tiny.replace(trainable_layers=trainable, epochs=1, samples_per_epoch=8, batch_size=4)
    network = build_network(config, ALL_TASKS, encoder)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    weights, _ = load_best(fit(config, encoder=encoder).folder)
    network.load_state_dict(weights)

    def has_changed(part: torch.nn.Module) -> bool:
        names = {id(p): name for name, p in network.named_parameters()}
        return any(not torch.equal(p, before[names[id(p)]]) for p in part.parameters())

    assert not has_changed(network.encoder.embeddings)
    changed = {n for n, layer in enumerate(network.encoder.layers) if has_changed(layer)}
    assert changed == trained


@trained_families
def test_other_factors_of_the_encoder_apply(
    family: str, encoder_of: Loaded, fit: Fit, tiny: Config
) -> None:
    encoder = encoder_of(family)
    config = tiny.replace(
        epochs=1,
        samples_per_epoch=8,
        batch_size=4,
        layer_decay=0.8,
        reinitialized_layers=1,
        smart=True,
        pair_encoding="joint",
        pooled_layers=2,
    )
    assert len(fit(config, encoder=encoder).reports) == 1
    network = build_network(config, ALL_TASKS, encoder)
    groups = build_optimizer(config, network).param_groups
    rates = {p: group["peak"] for group in groups for p in group["params"]}
    assert {rates[p] for p in network.encoder.layers[0].parameters()} == {1e-3 * 0.8**2}


def test_checkpoint_with_a_head_and_a_prefix_loads(tmp_path: Path) -> None:
    torch.manual_seed(0)
    changes = {"vocab_size": 60, **SIZES, **NUMBERS, **CONFIGS["roberta"]}
    model = RobertaForMaskedLM(CONFIG_MAPPING["roberta"](**changes)).eval()
    model.save_pretrained(tmp_path)
    ours = build(load_encoder(str(tmp_path)), dropout=0.1).eval()(pack(sentences(LENGTHS)))
    theirs, real = padded(model.roberta, sentences(LENGTHS))
    assert_close(ours.detach(), theirs.last_hidden_state[real].detach())


def test_loading_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save_model("roberta", tmp_path)
    capfd.readouterr()
    load_encoder(str(tmp_path))
    assert capfd.readouterr() == ("", "")


def test_checkpoint_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    file = save_model("distilbert", tmp_path) / "model.safetensors"
    weights = load_file(file)
    del weights["transformer.layer.1.ffn.lin1.weight"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"no weights 'transformer.layer.1.ffn.lin1.weight'; a dis"):
        load_encoder(str(tmp_path))
    file.write_bytes(b"not safetensors")
    with pytest.raises(UserError, match="cannot be read") as error:
        load_encoder(str(tmp_path))
    assert "\n" not in str(error.value)


def robertas_tokenizer() -> Tokenizer:
    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2, "a": 3, "b": 4, "Ġ": 5, "Ġb": 6}
    tokenizer = Tokenizer(BPE(vocabulary, [("Ġ", "b")]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer


def test_robertas_tokenizer_puts_its_tokens_around_a_sentence(tmp_path: Path) -> None:
    pretrained = load_encoder(str(save_model("roberta", tmp_path)))
    robertas_tokenizer().save(str(tmp_path / "tokenizer.json"))
    assert load_tokenizer(pretrained).encode("a b").tokens == ["<s>", "a", "Ġb", "</s>"]


def test_tokenizer_that_puts_nothing_around_a_sentence_is_refused(tmp_path: Path) -> None:
    pretrained = load_encoder(str(save_model("roberta", tmp_path)))
    Tokenizer(WordLevel({"a": 0, "sentence": 1}, "a")).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UserError, match="does not put one token before a sentence and one after"):
        load_tokenizer(pretrained)
