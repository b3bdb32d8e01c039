"""Evaluation equals the naive one, encodes each sentence once, and trains nothing."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor
from transformers import BertModel

from model.data.corpus import DEV, TRAIN, Corpus, Split
from model.data.sequences import Sequences
from model.encoder.pretrained import Pretrained
from model.layers.packing import pack
from model.network.network import Network, build_network
from model.tasks.shipped import ALL_TASKS
from model.training.evaluate import embed, evaluate
from spaces import Config

evaluate_module = import_module("model.training.evaluate")  # It has a function so called.

MAX_LENGTH, PADDED = 9, 12
QUERY = torch.linspace(-1, 1, 32)


@pytest.fixture(params=["mean", "cls", "max", "attention"])
def network(request: pytest.FixtureRequest, pretrained: Pretrained, corpus: Corpus) -> Network:
    """One whose predictions differ: a fresh one's outputs are the same for most examples."""
    made: Any = build_network(
        Config(pooling=request.param, shared_pair_head=True), ALL_TASKS, pretrained
    ).eval()
    splits = {task: split[DEV] for task, split in corpus.splits.items()}
    with torch.no_grad():
        if made.pooling.query is not None:
            made.pooling.query.copy_(QUERY)
        inputs = {
            task: (
                made.embed(pack([corpus.sentence(int(n), MAX_LENGTH) for n in split.sentences()])),
                torch.from_numpy(split.jaccard),
            )
            for task, split in splits.items()
        }
        for head in made.heads.values():
            output = head.network.output
            output.weight.mul_(8)
            logits: list[Tensor] = []
            kept = output.register_forward_hook(lambda _m, _i, out, to=logits: to.append(out))
            head(inputs)
            kept.remove()
            output.bias.sub_(logits[0].mean(0))
    network: Network = made
    return network


def naive_embedding(theirs: Any, pooling: str, tokens: np.ndarray) -> Any:
    """Of one sentence by transformers, padded to a fixed length, (1, hidden)."""
    padded = torch.zeros(1, PADDED, dtype=torch.int64)
    padded[0, : len(tokens)] = torch.from_numpy(tokens)
    mask = (torch.arange(PADDED) < len(tokens)).long()[None]
    states = theirs(padded, attention_mask=mask).last_hidden_state  # (1, PADDED, hidden)
    real = mask.bool().unsqueeze(2)
    match pooling:
        case "mean":
            return states.masked_fill(~real, 0).sum(1) / len(tokens)
        case "max":
            return states.masked_fill(~real, -torch.inf).amax(1)
        case "attention":
            scores = (states @ QUERY).unsqueeze(2).masked_fill(~real, -torch.inf)
            return (states * scores.softmax(1)).sum(1)
    return states[:, 0]


def naive_outputs(
    network: Network, theirs: BertModel, corpus: Corpus, task: str, split: Split
) -> Tensor:
    """Example by example, (examples, outputs)."""
    head: Any = network.heads["sst" if task == "sst" else "para+sts"].eval()
    rows = []
    for row in range(len(split)):
        columns = [split.first] if split.second is None else [split.first, split.second]
        sentences = [corpus.sentence(int(column[row]), MAX_LENGTH) for column in columns]
        embeddings = [naive_embedding(theirs, network.pooling.kind, s) for s in sentences]
        if task == "sst":
            rows.append(head.network(embeddings[0]))
            continue
        jaccard = torch.tensor([[split.jaccard[row]]])
        features = torch.cat([(embeddings[0] - embeddings[1]).abs(), jaccard], 1)
        logit = head.network(features)
        rows.append(logit if task == "para" else 5 * logit.sigmoid())
    return torch.cat(rows)


@torch.no_grad()
def test_evaluation_equals_one_example_at_a_time(
    network: Network,
    corpus: Corpus,
    accelerator: Accelerator,
    encoder_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluate_module, "TOKENS_AT_ONCE", 150)  # several pieces
    theirs = BertModel.from_pretrained(encoder_folder, add_pooling_layer=False).eval()
    found = evaluate(network, ALL_TASKS, Sequences(corpus, MAX_LENGTH), DEV, accelerator)
    assert list(found) == ["sst", "para", "sts"]
    losses: dict[str, Tensor] = {}
    predictions: dict[str, np.ndarray] = {}
    scores: dict[str, float] = {}
    for task in found:
        split = corpus.splits[task][DEV]
        outputs = naive_outputs(network, theirs, corpus, task, split)
        labels = torch.from_numpy(split.labels)
        match task:
            case "sst":
                losses[task] = F.cross_entropy(outputs, labels.long())
                predictions[task] = outputs.argmax(1).numpy()
            case "para":
                losses[task] = F.binary_cross_entropy(outputs[:, 0].sigmoid(), labels)
                predictions[task] = outputs[:, 0].sigmoid().numpy() > 0.5
            case "sts":
                losses[task] = (outputs[:, 0] - labels).square().mean()
                predictions[task] = outputs[:, 0].numpy()
        scores[task] = (
            scipy.stats.pearsonr(predictions[task], split.labels).statistic
            if task == "sts"
            else (predictions[task] == split.labels).mean()
        )
        assert len(set(predictions[task].tolist())) > 1
    for task, result in found.items():
        np.testing.assert_allclose(result.predictions, predictions[task], atol=1e-4)
        assert result.loss == pytest.approx(float(losses[task]), abs=1e-5)
        assert result.score == pytest.approx(float(scores[task]), abs=1e-5)


def test_each_different_sentence_is_encoded_once(
    network: Network, corpus: Corpus, accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate_module, "TOKENS_AT_ONCE", 100)
    encoded: list[tuple[int, ...]] = []
    sizes: list[int] = []

    def watch(_module: object, inputs: tuple[object, ...], _output: object) -> None:
        packed = inputs[0]
        parts = packed.tokens.split(packed.lengths.tolist())  # type: ignore[attr-defined]
        encoded.extend(tuple(part.tolist()) for part in parts if part.any())  # not the filling
        sizes.append(sum(map(len, parts)))

    network.encoder.register_forward_hook(watch)
    twice = corpus.splits["para"][DEV].rows(np.array([0, 1, 1, 0, 2]))
    splits = {**corpus.splits, "para": {DEV: twice}}
    repeated = Corpus(corpus.tokens, corpus.offsets, splits)
    found = evaluate(network, ALL_TASKS, Sequences(repeated, 99), DEV, accelerator)
    parts = [split[DEV].sentences() for split in splits.values()]
    expected = [tuple(corpus.sentence(n, 99).tolist()) for n in np.unique(np.concatenate(parts))]
    assert sorted(encoded) == sorted(expected)
    assert len(sizes) > 2
    assert set(sizes) == {100}
    assert len(found["para"].predictions) == 5
    assert found["para"].predictions[1] == found["para"].predictions[2]


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("joint", [False, True])
@torch.no_grad()
def test_an_embedding_does_not_depend_on_its_company(
    network: Network, corpus: Corpus, accelerator: Accelerator, joint: bool, half: bool
) -> None:
    network.eval()
    sequences = Sequences(corpus, 24, joint)
    everyone = np.arange(len(sequences))
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        whole = embed(network, sequences, everyone, accelerator)
        assert len(torch.unique(whole, dim=0)) == len(everyone)
        draw = np.random.default_rng(0)
        for count in (1, 7, 60):
            some = draw.permutation(everyone)[:count]
            found = embed(network, sequences, some, accelerator)
            assert torch.equal(found, whole[some])


@torch.no_grad()
def test_joint_pairs_are_scored_as_one_at_a_time_and_each_different_one_encoded_once(
    corpus: Corpus, pretrained: Pretrained, accelerator: Accelerator
) -> None:
    config = Config(pair_encoding="joint", max_length=99, shared_pair_head=True)
    network: Any = build_network(config, ALL_TASKS, pretrained).eval()
    twice = corpus.splits["sts"][DEV].rows(np.array([0, 1, 1, 0, 2]))
    splits = {**corpus.splits, "sts": {DEV: twice}}
    sequences = Sequences.of(config, Corpus(corpus.tokens, corpus.offsets, splits))
    encoded: list[tuple[int, ...]] = []

    def watch(_module: object, inputs: Any, _output: object) -> None:
        parts = inputs[0].tokens.split(inputs[0].lengths.tolist())
        encoded.extend(tuple(part.tolist()) for part in parts if part.any())  # not the filling

    watching = network.encoder.register_forward_hook(watch)
    found = evaluate(network, ALL_TASKS, sequences, DEV, accelerator)
    watching.remove()
    wanted = np.concatenate([sequences.numbers(by_split[DEV]) for by_split in splits.values()])
    assert len(encoded) == len(set(encoded)) == len(np.unique(wanted)) < len(wanted)
    for task, head in (("para", "para+sts"), ("sts", "para+sts"), ("sst", "sst")):
        split = splits[task][DEV]
        jaccard = torch.from_numpy(split.jaccard)
        alone = []
        for row, number in enumerate(sequences.numbers(split)):
            embedded = network.embed(sequences.pack(np.array([number]), accelerator.device))
            alone.append(network.heads[head]({task: (embedded, jaccard[row : row + 1])})[task])
        predict = next(t.predict for t in ALL_TASKS if t.name == task)
        expected = predict(torch.cat(alone)).numpy()
        np.testing.assert_allclose(found[task].predictions, expected, atol=1e-4)


def test_evaluation_leaves_the_network_as_it_was(
    network: Network, corpus: Corpus, accelerator: Accelerator
) -> None:
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = [
        evaluate(network, ALL_TASKS, Sequences(corpus, 24), DEV, accelerator) for _ in range(2)
    ]
    assert not network.training
    assert all(torch.equal(t, before[name]) for name, t in network.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    for task in found[0]:
        assert np.array_equal(found[0][task].predictions, found[1][task].predictions)


def test_any_split_can_be_scored(
    network: Network, corpus: Corpus, accelerator: Accelerator
) -> None:
    para = evaluate(network, ALL_TASKS, Sequences(corpus, 24), TRAIN, accelerator)["para"]
    assert len(para.predictions) == len(corpus.splits["para"][TRAIN])
    assert para.score == np.mean(para.predictions == corpus.splits["para"][TRAIN].labels)
