"""Any BERT checkpoint loads, under whatever names; anything else is refused in one sentence."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM, BertModel, BertTokenizerFast

from model.packing import pack
from model.pretrained import build, load_encoder, load_tokenizer, to_transformers_names
from spaces import MINILM, UserError

SENTENCES = [np.array([2, 5, 9, 3]), np.array([2, 7, 3]), np.array([4])]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "film", "##s", "bad", "a", "the"]


def tiny_config(**changes: object) -> BertConfig:
    shape = {
        "vocab_size": 30,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 24,
        "max_position_embeddings": 20,
        "initializer_range": 0.3,
    }
    return BertConfig(**(shape | changes))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A tiny random `BertModel`, saved as transformers saves it."""
    torch.manual_seed(0)
    BertModel(tiny_config()).save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def assert_encodes_like(folder: Path, theirs: BertModel) -> None:
    ours = build(load_encoder(str(folder)), dropout=0.1).eval()
    with torch.no_grad():
        states = ours(pack(SENTENCES)).split([len(sentence) for sentence in SENTENCES])
        for sentence, state in zip(SENTENCES, states, strict=True):
            expected = theirs.eval()(torch.from_numpy(sentence)[None]).last_hidden_state[0]
            torch.testing.assert_close(state, expected, rtol=0, atol=1e-5)


def test_minilm_loads_without_a_network() -> None:
    pretrained = load_encoder(MINILM)
    assert pretrained.name == MINILM
    assert (pretrained.shape.layers, pretrained.shape.hidden) == (6, 384)
    assert sum(array.size for array in pretrained.weights.values()) == pytest.approx(
        22.6e6, rel=0.01
    )


def test_folder_of_a_plain_model_loads(checkpoint: Path) -> None:
    assert_encodes_like(checkpoint, BertModel.from_pretrained(checkpoint))


def test_checkpoint_with_a_head_and_a_prefix_loads(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = BertForMaskedLM(tiny_config(hidden_act="relu", layer_norm_eps=1e-3))
    model.save_pretrained(tmp_path)
    assert any(name.startswith("bert.") for name in load_file(tmp_path / "model.safetensors"))
    assert_encodes_like(tmp_path, model.bert)


def test_pickled_weights_under_old_names_load(checkpoint: Path) -> None:
    theirs = BertModel.from_pretrained(checkpoint)
    old = {
        "bert."
        + k.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): v
        for k, v in theirs.state_dict().items()
    }
    torch.save(old, checkpoint / "pytorch_model.bin")
    (checkpoint / "model.safetensors").unlink()
    assert_encodes_like(checkpoint, theirs)


def test_half_precision_weights_load_as_fp32(checkpoint: Path) -> None:
    file = checkpoint / "model.safetensors"
    save_file({k: v.bfloat16() for k, v in load_file(file).items()}, file)
    weights = load_encoder(str(checkpoint)).weights
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}


def test_keys_left_out_of_a_config_have_berts_defaults(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    for key in ("type_vocab_size", "layer_norm_eps", "hidden_act"):
        del config[key]
    (checkpoint / "config.json").write_text(json.dumps(config))
    assert_encodes_like(checkpoint, BertModel.from_pretrained(checkpoint))


def test_weights_are_read_only_and_training_leaves_them_alone(checkpoint: Path) -> None:
    pretrained = load_encoder(str(checkpoint))
    before = {name: array.copy() for name, array in pretrained.weights.items()}
    encoder = build(pretrained, dropout=0.0)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(1)
    for name, array in pretrained.weights.items():
        assert not array.flags.writeable
        assert np.array_equal(array, before[name])


def test_building_draws_no_random_numbers(checkpoint: Path) -> None:
    pretrained = load_encoder(str(checkpoint))
    before = torch.get_rng_state()
    build(pretrained, dropout=0.1)
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_reaches_hidden_states_and_attention(checkpoint: Path) -> None:
    encoder = build(load_encoder(str(checkpoint)), dropout=0.25)
    assert {m.probability for m in encoder.modules() if hasattr(m, "probability")} == {0.25}
    assert encoder.attention_dropout == 0.25


def test_pretrained_survives_a_process_boundary(checkpoint: Path) -> None:
    pretrained = load_encoder(str(checkpoint))
    copy = pickle.loads(pickle.dumps(pretrained))
    assert copy.shape == pretrained.shape
    assert all(np.array_equal(copy.weights[k], v) for k, v in pretrained.weights.items())


def test_names_lead_back_to_the_checkpoint(checkpoint: Path) -> None:
    theirs = load_file(checkpoint / "model.safetensors")
    back = to_transformers_names(load_encoder(str(checkpoint)).weights)
    assert set(back) == {name for name in theirs if not name.startswith("pooler.")}
    for name, array in back.items():
        assert np.array_equal(array, theirs[name].numpy())


def test_minilms_tokenizer_neither_pads_nor_truncates() -> None:
    tokenizer = load_tokenizer(load_encoder(MINILM))
    short, long = tokenizer.encode_batch(["A fine film.", "word " * 300])
    assert short.tokens == ["[CLS]", "a", "fine", "film", ".", "[SEP]"]
    assert len(long.ids) == 302


def test_tokenizer_is_made_from_a_vocabulary_alone(checkpoint: Path) -> None:
    (checkpoint / "vocab.txt").write_text("\n".join(WORDS))
    assert load_tokenizer(load_encoder(str(checkpoint))).encode("Good films").tokens == [
        "[CLS]",
        "good",
        "film",
        "##s",
        "[SEP]",
    ]


def _no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def _change_config(**changes: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return damage


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _broken_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"not safetensors")


def _code_in_weights(folder: Path) -> None:
    _no_weights(folder)
    torch.save({"encoder": Path.cwd}, folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_no_config, "tiny is no checkpoint: it has no config.json"),
        (_broken_config, "is not JSON"),
        (_change_config(model_type="t5"), "says model_type 't5', but only these are read: bert, "),
        (_change_config(position_embedding_type="relative_key"), "relative positions"),
        (_change_config(is_decoder=True), "decoder"),
        (_change_config(hidden_act="gelo"), "did you mean 'gelu'"),
        (_change_config(num_attention_heads=3), "`heads` must divide `hidden`"),
        (_change_config(num_hidden_layers=3), "no weights 'encoder.layer.2.*of 3 layers"),
        (_change_config(hidden_size=32), "have shape .30, 16., which does not fit"),
        (_no_weights, "neither model.safetensors nor pytorch_model.bin"),
        (_broken_weights, "cannot be read"),
        (_code_in_weights, "cannot be read"),
    ],
)
def test_what_is_no_bert_checkpoint_is_refused(
    checkpoint: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(checkpoint)
    with pytest.raises(UserError, match=message) as error:
        load_encoder(str(checkpoint))
    assert str(checkpoint) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_folder_is_refused() -> None:
    with pytest.raises(UserError, match="There is no encoder folder"):
        load_encoder("./no/such/place")


def test_hub_that_cannot_be_reached_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_args: object, **_keys: object) -> str:
        raise LocalEntryNotFoundError("Got: ConnectError: refused\nand more lines")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    with pytest.raises(UserError, match="hub gave no checkpoint of that name") as error:
        load_encoder("someone/some-bert")
    assert "someone/some-bert" in str(error.value)
    assert "\n" not in str(error.value)


def test_checkpoint_from_the_hub_loads(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are fetched once: the pickled ones only where there are no others."""
    fetched: list[str] = []

    def download(name: str, allow_patterns: list[str]) -> str:
        assert name == "someone/some-bert"
        fetched.extend(allow_patterns)
        return str(checkpoint)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    pretrained = load_encoder("someone/some-bert")
    assert pretrained.name == "someone/some-bert"
    assert "pytorch_model.bin" not in fetched


def test_tokenizer_that_is_missing_or_of_another_checkpoint_is_refused(checkpoint: Path) -> None:
    pretrained = load_encoder(str(checkpoint))
    with pytest.raises(UserError, match=r"has no tokenizer: neither tokenizer\.json nor vocab"):
        load_tokenizer(pretrained)
    (checkpoint / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="cannot be read"):
        load_tokenizer(pretrained)
    shutil.copy(Path(load_encoder(MINILM).folder) / "tokenizer.json", checkpoint)
    with pytest.raises(UserError, match="knows 30522 tokens and the encoder there only 30"):
        load_tokenizer(pretrained)


def test_tokenizer_saved_by_transformers_loads(checkpoint: Path) -> None:
    (checkpoint / "words.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(vocab=str(checkpoint / "words.txt")).save_pretrained(checkpoint)
    assert load_tokenizer(load_encoder(str(checkpoint))).encode("the film").ids == [2, 10, 6, 3]
