"""Our encoder computes what transformers' `BertModel` does, for any company of sentences."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import BertConfig, BertModel

from model.encoder.bert import Encoder, EncoderShape
from model.encoder.bert_weights import to_transformers_names
from model.encoder.pretrained import build, load_encoder
from model.layers.dropout import Dropout
from model.layers.packing import Packed, pack, pack_pairs
from spaces import MINILM
from tests.tries import tries

VOCABULARY = 99
TINY = EncoderShape(
    vocabulary=VOCABULARY, hidden=24, layers=2, heads=3, intermediate=40, positions=32
)


@cache
def twins(shape: EncoderShape = TINY) -> tuple[Encoder, BertModel]:
    """An encoder of random weights and a `BertModel` of the same ones, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        ours = Encoder(shape).eval()
    with torch.no_grad():  # Fresh norms are all ones and zeros: exchanged ones would not be seen.
        for parameter in ours.parameters():
            noise = torch.linspace(-0.1, 0.1, parameter.numel()).view_as(parameter)
            parameter.add_(noise)
    config = BertConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate,
        max_position_embeddings=shape.positions,
        type_vocab_size=shape.token_types,
        layer_norm_eps=shape.layer_norm_eps,
        hidden_act=shape.activation,
    )
    theirs = BertModel(config, add_pooling_layer=False).eval()
    weights = {name: p.detach().numpy() for name, p in ours.named_parameters()}
    named = {k: torch.tensor(v) for k, v in to_transformers_names(weights).items()}
    theirs.load_state_dict(named, strict=True)
    return ours, theirs


def random_sentences(lengths: list[int], vocabulary: int = VOCABULARY) -> list[np.ndarray]:
    random = np.random.default_rng(sum(lengths))
    return [random.integers(1, vocabulary, length) for length in lengths]


def padded_states(
    theirs: BertModel, sentences: list[np.ndarray], types: list[np.ndarray] | None = None
) -> Tensor:
    """transformers' last hidden states of a padded batch, padding taken out: (total, hidden)."""
    longest = max(map(len, sentences))
    tokens = torch.zeros(len(sentences), longest, dtype=torch.int64)
    kinds = torch.zeros_like(tokens)
    real = torch.zeros_like(tokens)
    for row, sentence in enumerate(sentences):
        tokens[row, : len(sentence)] = torch.from_numpy(sentence)
        real[row, : len(sentence)] = 1
        if types is not None:
            kinds[row, : len(sentence)] = torch.from_numpy(types[row])
    out = theirs(tokens, attention_mask=real, token_type_ids=kinds).last_hidden_state
    return out[real.bool()]


def assert_close(ours: Tensor, theirs: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance)


@settings(deadline=None, max_examples=tries(40))
@given(st.lists(st.integers(1, TINY.positions), min_size=1, max_size=20))
def test_states_equal_transformers_for_any_lengths(lengths: list[int]) -> None:
    ours, theirs = twins()
    sentences = random_sentences(lengths)
    with torch.no_grad():
        assert_close(ours(pack(sentences)), padded_states(theirs, sentences))


@pytest.mark.parametrize(
    "shape",
    [
        EncoderShape(vocabulary=99, hidden=16, layers=1, heads=1, intermediate=8, positions=64),
        EncoderShape(vocabulary=99, hidden=32, layers=4, heads=8, intermediate=64, positions=64),
        EncoderShape(
            vocabulary=99,
            hidden=16,
            layers=2,
            heads=4,
            intermediate=16,
            positions=64,
            token_types=3,
            layer_norm_eps=1e-2,
            activation="relu",
        ),
    ],
    ids=["one head", "four layers", "relu"],
)
def test_states_equal_transformers_for_other_shapes(shape: EncoderShape) -> None:
    ours, theirs = twins(shape)
    sentences = random_sentences([1, 64, 7, 7, 8, 30, 2])
    with torch.no_grad():
        assert_close(ours(pack(sentences)), padded_states(theirs, sentences))


def test_states_equal_transformers_on_minilm() -> None:
    pretrained = load_encoder(MINILM)
    ours = build(pretrained, dropout=0.1).eval()
    theirs = BertModel.from_pretrained(pretrained.folder, add_pooling_layer=False).eval()
    sentences = random_sentences([1, 2, 9, 40, 17, 17, 23, 5], pretrained.shape.vocabulary)
    with torch.no_grad():
        assert_close(ours(pack(sentences)), padded_states(theirs, sentences))


def test_token_types_reach_their_tokens() -> None:
    ours, theirs = twins()
    sentences = random_sentences([9, 3, 12])
    types = [np.arange(len(sentence)) % 2 for sentence in sentences]
    packed = replace(pack(sentences), token_types=torch.from_numpy(np.concatenate(types)))
    with torch.no_grad():
        assert_close(ours(packed), padded_states(theirs, sentences, types))


@pytest.mark.parametrize("averaged", [1, 2])
def test_states_are_the_mean_of_the_last_layers(averaged: int) -> None:
    ours, theirs = twins()
    sentences = random_sentences([9, 3, 12])
    packed = pack(sentences)
    with torch.no_grad():
        layers = [
            theirs(torch.from_numpy(s)[None], output_hidden_states=True).hidden_states[-averaged:]
            for s in sentences
        ]
        expected = torch.cat([sum(states)[0] / averaged for states in layers])
        assert_close(ours(packed, None, averaged), expected)


def test_an_encoder_without_token_types_reads_none() -> None:
    ours, _ = twins(replace(TINY, token_types=1))
    first, second = random_sentences([9, 4])
    with torch.no_grad():
        pair, plain = pack_pairs([(first, second)]), pack([np.concatenate([first, second])])
        assert torch.equal(ours(pair), ours(plain))


def test_gradients_equal_transformers() -> None:
    ours, theirs = twins()
    sentences = random_sentences([1, 4, 30, 11, 11, 12, 5])
    direction = torch.randn(
        sum(map(len, sentences)), TINY.hidden, generator=torch.Generator().manual_seed(0)
    )
    for encoder, states in (
        (ours, ours(pack(sentences))),
        (theirs, padded_states(theirs, sentences)),
    ):
        encoder.zero_grad()
        (states * direction).sum().backward()
    gradients = {name: p.grad.numpy() for name, p in ours.named_parameters() if p.grad is not None}
    named = to_transformers_names(gradients)
    for name, parameter in theirs.named_parameters():
        assert parameter.grad is not None
        assert_close(torch.tensor(named[name]), parameter.grad, 1e-4)


@settings(deadline=None, max_examples=tries(30))
@given(
    st.lists(st.integers(1, TINY.positions), min_size=2, max_size=12),
    st.randoms(use_true_random=False),
)
def test_a_sentence_is_encoded_the_same_in_any_company(lengths: list[int], random: object) -> None:
    ours, _ = twins()
    sentences = random_sentences(lengths)
    order = list(range(len(sentences)))
    random.shuffle(order)  # type: ignore[attr-defined]
    with torch.no_grad():
        together = ours(pack(sentences)).split(lengths)
        shuffled = ours(pack([sentences[i] for i in order])).split([lengths[i] for i in order])
        for place, number in enumerate(order):
            assert_close(shuffled[place], together[number])
        assert_close(ours(pack(sentences[:1])), together[0])


def test_bf16_autocast_stays_bf16_and_close_to_fp32() -> None:
    encoder = build(load_encoder(MINILM), dropout=0.0)
    packed = pack(random_sentences([3, 9, 40, 17, 17, 23, 5], encoder.shape.vocabulary))
    kept: list[torch.dtype] = []
    for layer in encoder.layers:
        layer.register_forward_hook(lambda _module, _inputs, output: kept.append(output.dtype))
    full = encoder(packed)
    kept.clear()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = encoder(packed)
    assert kept == [torch.bfloat16] * 6
    half.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in encoder.parameters())
    similarity = torch.cosine_similarity(full, half.float(), dim=-1)
    assert similarity.min() > 0.999


@pytest.fixture
def varlen_in_plain_torch(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stands in for the CUDA kernel, by its documentation; holds how often it was called."""
    calls: list[int] = []

    def varlen(
        q: Tensor, k: Tensor, v: Tensor, cu_q: Tensor, cu_k: Tensor, *longest: int
    ) -> Tensor:
        assert q.dim() == 3
        assert cu_q.dtype == cu_k.dtype == torch.int32
        assert longest == (int(cu_q.diff().max()),) * 2
        calls.append(1)
        lengths = cu_q.diff().tolist()
        parts = zip(q.split(lengths), k.split(lengths), v.split(lengths), strict=True)
        return torch.cat(
            [
                torch.einsum(
                    "hqk,khd->qhd",
                    (torch.einsum("qhd,khd->hqk", a, b) / a.shape[-1] ** 0.5).softmax(-1),
                    c,
                )
                for a, b, c in parts
            ]
        )

    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", varlen)
    monkeypatch.setattr(Encoder, "_runs_flat", lambda *_: True)
    return calls


def test_attention_without_padding_equals_attention_in_groups(
    varlen_in_plain_torch: list[int],
) -> None:
    ours, theirs = twins()
    sentences = random_sentences([1, 4, 30, 11, 11, 12, 5])
    with torch.no_grad():
        assert_close(ours(pack(sentences)), padded_states(theirs, sentences))
    assert len(varlen_in_plain_torch) == TINY.layers


def test_seed_decides_the_dropout() -> None:
    encoder = Encoder(TINY, hidden_dropout=0.2, attention_dropout=0.2).train()
    packed = pack(random_sentences([4, 9, 9]))

    def states(seed: int) -> Tensor:
        torch.manual_seed(seed)
        result: Tensor = encoder(packed)
        return result

    assert torch.equal(states(1), states(1))
    assert not torch.allclose(states(1), states(2))


@pytest.mark.parametrize("part", ["hidden", "attention"])
def test_both_dropouts_act_in_training_only(part: str) -> None:
    chances = {"hidden_dropout": 0.0, "attention_dropout": 0.0, f"{part}_dropout": 0.5}
    encoder = Encoder(TINY, **chances)
    packed = pack(random_sentences([4, 9, 9]))
    torch.manual_seed(0)
    with torch.no_grad():
        assert not torch.allclose(encoder.train()(packed), encoder(packed))
        assert torch.equal(encoder.eval()(packed), encoder(packed))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_dropout_has_its_probability_and_keeps_the_mean(
    dtype: torch.dtype, probability: float
) -> None:
    torch.manual_seed(0)
    values = torch.ones(401, 499, dtype=dtype, requires_grad=True)  # An odd number of elements.
    dropped = Dropout(probability)(values)
    assert dropped.dtype == dtype
    zeros = (dropped == 0).float()
    assert zeros.mean().item() == pytest.approx(probability, abs=0.004)  # Five standard errors.
    assert dropped.float().mean().item() == pytest.approx(1, abs=0.01)
    for step in range(1, 5):  # Elements that share a draw are independent.
        both = (zeros.flatten()[:-step] * zeros.flatten()[step:]).mean().item()
        assert both == pytest.approx(probability**2, abs=0.004)
    dropped.sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, dropped)


def test_impossible_dropout_is_refused() -> None:
    with pytest.raises(ValueError, match="probability"):
        Dropout(1.0)


def test_frozen_parts_get_no_gradient_and_the_rest_does() -> None:
    encoder = Encoder(TINY)
    for part in (encoder.embeddings, encoder.layers[0]):
        part.requires_grad_(False)
    encoder(pack(random_sentences([4, 9, 9]))).square().sum().backward()
    assert all(p.grad is None for p in encoder.embeddings.parameters())
    assert all(p.grad is None for p in encoder.layers[0].parameters())
    assert all(p.grad is not None for p in encoder.layers[1].parameters())


def test_too_long_a_sentence_is_refused() -> None:
    packed: Packed = pack(random_sentences([3, TINY.positions + 1]))
    with pytest.raises(ValueError, match="33 tokens is longer than the encoder's 32 positions"):
        Encoder(TINY)(packed)


def test_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="heads=5, hidden=24"):
        EncoderShape(vocabulary=9, hidden=24, layers=1, heads=5, intermediate=8)
