"""Any BERT checkpoint loads, under whatever names; anything else is refused in one sentence."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from transformers import (
    TOKENIZER_MAPPING,
    AutoConfig,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    BertTokenizerFast,
)

from model.encoder.bert_weights import to_transformers_names
from model.encoder.pretrained import build, load_encoder
from model.encoder.tokenizer import load_tokenizer
from model.encoder.vocabulary import normalisation
from model.layers.packing import pack
from spaces import MINILM, UserError
from tests.model.other_encoders import CONFIGS, save_model

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


CASED = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"hello", "Hello", "##e", "##l", "##o", "Él"]
UNCASED = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "el", "él", *"abcdefghijk"]
PLAIN = [word for word in UNCASED if word != "él"]
WORDPIECE_FAMILIES = pytest.mark.parametrize("family", ["bert", "distilbert", "electra", "mpnet"])


def vocabulary_of(family: str, words: list[str]) -> list[str]:
    """MPNet's special tokens are others."""
    named = {"[CLS]": "<s>", "[SEP]": "</s>", "[PAD]": "<pad>", "[MASK]": "<mask>"}
    return [named.get(word, word) for word in words] if family == "mpnet" else words


@WORDPIECE_FAMILIES
@pytest.mark.parametrize(
    ("words", "normalised"),
    [
        (CASED, {"do_lower_case": False}),
        (PLAIN, {"do_lower_case": True}),
        (UNCASED, {"do_lower_case": True, "strip_accents": False}),
    ],
)
@pytest.mark.parametrize("beside", [None, {}, {"model_max_length": 20}, {"do_lower_case": None}])
def test_a_vocabulary_says_whether_its_words_have_capitals(
    family: str,
    words: list[str],
    normalised: dict[str, bool],
    beside: dict[str, Any] | None,
    checkpoint: Path,
    tmp_path: Path,
) -> None:
    """Read as by transformers' own tokenizer of the family, told so."""
    folder = checkpoint if family == "bert" else save_model(family, tmp_path / family)
    vocabulary = vocabulary_of(family, words)
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    if beside is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(beside))
    text = "Hello él Él HELLO [MASK]"
    found = load_tokenizer(load_encoder(str(folder))).encode(text)
    theirs = TOKENIZER_MAPPING[type(AutoConfig.from_pretrained(folder))]
    own = theirs(vocab={word: n for n, word in enumerate(vocabulary)}, **normalised)
    assert found.ids == own(text)["input_ids"]
    assert ("Hello" in found.tokens) == (words is CASED)
    assert ("él" in found.tokens) == (words is UNCASED)


@pytest.mark.parametrize("lower", [True, False])
def test_what_a_tokenizers_configuration_says_goes_before_the_vocabulary(
    checkpoint: Path, lower: bool
) -> None:
    (checkpoint / "vocab.txt").write_text("\n".join([*CASED[:5], "hello", "Hello"]))
    (checkpoint / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lower}))
    tokens = load_tokenizer(load_encoder(str(checkpoint))).encode("Hello").tokens
    assert tokens == ["[CLS]", "hello" if lower else "Hello", "[SEP]"]


def test_a_tokenizers_configuration_that_is_no_object_is_refused(checkpoint: Path) -> None:
    (checkpoint / "vocab.txt").write_text("\n".join(CASED))
    (checkpoint / "tokenizer_config.json").write_text("[1]")
    with pytest.raises(UserError, match=r"\(tokenizer_config\.json must be a JSON object\)\."):
        load_tokenizer(load_encoder(str(checkpoint)))


def test_a_few_placeholders_in_capitals_do_not_make_a_vocabulary_cased() -> None:
    words = [f"word{chr(97 + n % 26)}{n}" for n in range(1000)]
    assert normalisation([*words, "URL", "[E1]", "<NAME>"]) == {"do_lower_case": True}
    assert normalisation([*words, *(f"Word{n}" for n in range(20))]) == {"do_lower_case": False}


SENTENCES_TO_LEARN_FROM = ["the quick brown Fox jumps over a lazy dog", "Hello world, good films"]


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("deberta-v2", "spm.model"),
        ("xlm-roberta", "sentencepiece.bpe.model"),
        ("camembert", "sentencepiece.bpe.model"),
    ],
)
def test_tokenizer_is_made_from_a_sentencepiece_model_alone(
    family: str, name: str, tmp_path: Path
) -> None:
    import sentencepiece

    special: dict[str, Any] = {"unk_id": 0, "bos_id": 1, "eos_id": 2}
    if family == "deberta-v2":
        special = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
        pieces = {"pad": "[PAD]", "bos": "[CLS]", "eos": "[SEP]", "unk": "[UNK]"}
        special |= {f"{kind}_piece": piece for kind, piece in pieces.items()}
    learned = BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES_TO_LEARN_FROM * 20),
        model_writer=learned,
        vocab_size=45,
        hard_vocab_limit=False,
        minloglevel=2,
        **special,
    )
    folder = save_model(family, tmp_path)
    (folder / name).write_bytes(learned.getvalue())
    found = load_tokenizer(load_encoder(str(folder))).encode("Hello lazy dog")
    first, last = ("[CLS]", "[SEP]") if family == "deberta-v2" else ("<s>", "</s>")
    own = sentencepiece.SentencePieceProcessor(model_proto=learned.getvalue())
    assert found.tokens == [first, *own.encode("Hello lazy dog", out_type=str), last]
    assert found.ids == AutoTokenizer.from_pretrained(folder).encode("Hello lazy dog")


@pytest.mark.parametrize("content", [b"no model", b""])
def test_a_damaged_sentencepiece_model_is_one_sentence(
    content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = save_model("deberta-v2", tmp_path)
    (folder / "spm.model").write_bytes(content)
    pretrained = load_encoder(str(folder))
    capfd.readouterr()
    with pytest.raises(UserError) as error:
        load_tokenizer(pretrained)
    why = "spm.model is damaged, or no SentencePiece model"
    assert str(error.value) == f"The tokenizer in {folder} cannot be read ({why})."
    assert capfd.readouterr() == ("", "")


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
        (_change_config(model_type="x" * 5000), "says model_type 'x{199}\\.\\.\\., but only"),
        (_change_config(position_embedding_type="relative_key"), "relative positions"),
        (_change_config(is_decoder=True), "decoder"),
        (_change_config(hidden_act="gelo"), "did you mean 'gelu'"),
        (_change_config(num_attention_heads=3), "`heads` must divide `hidden`"),
        (_change_config(num_hidden_layers=3), "no weights 'encoder.layer.2.*of 3 layers"),
        (_change_config(hidden_size=32), "have shape .30, 16., which does not fit"),
        (_no_weights, "neither model.safetensors nor pytorch_model.bin, nor an index"),
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


def shard(folder: Path, pickled: bool = False) -> Path:
    """The folder's weights in three pieces and an index, as transformers writes large ones; the
    index."""
    whole = folder / "model.safetensors"
    weights = load_file(whole)
    whole.unlink()
    stem, suffix = ("pytorch_model", "bin") if pickled else ("model", "safetensors")
    by_weight = {}
    for piece in range(3):
        name = f"{stem}-{piece + 1:05d}-of-00003.{suffix}"
        part = {n: w for i, (n, w) in enumerate(weights.items()) if i % 3 == piece}
        by_weight |= dict.fromkeys(part, name)
        if pickled:
            torch.save(part, folder / name)
        else:
            save_file(part, folder / name, metadata={"format": "pt"})
    index = folder / f"{stem}.{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": by_weight}))
    return index


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_weights_in_several_files_load(
    family: str, pickled: bool, checkpoint: Path, tmp_path: Path
) -> None:
    folder = checkpoint if family == "bert" else save_model(family, tmp_path / family)
    expected = load_encoder(str(folder)).weights
    shard(folder, pickled)
    found = load_encoder(str(folder)).weights
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], array) for name, array in expected.items())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "index.json cannot be read"),
        ("[]", 'has no "weight_map" of the files'),
        ('{"weight_map": {}}', 'has no "weight_map" of the files'),
        (
            '{"weight_map": {"a": "../other.safetensors"}}',
            "names '../other.safetensors', which is no",
        ),
        ('{"weight_map": {"a": "/etc/passwd"}}', "names '/etc/passwd', which is no file in its"),
        ('{"weight_map": {"a": "gone.safetensors"}}', "lacks gone.safetensors: "),
        ('{"weight_map": {"a": ["x"]}}', "lacks "),
        (json.dumps({"weight_map": {"a": "x" * 5000}}), f"lacks {'x' * 100}...: "),
    ],
)
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_an_index_that_leads_nowhere_is_refused(
    family: str, content: str, message: str, checkpoint: Path, tmp_path: Path
) -> None:
    folder = checkpoint if family == "bert" else save_model(family, tmp_path / family)
    shard(folder).write_text(content)
    with pytest.raises(UserError) as error:
        load_encoder(str(folder))
    assert message in str(error.value)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_piece_of_the_weights_that_lacks_is_named(checkpoint: Path) -> None:
    shard(checkpoint)
    (checkpoint / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(UserError) as error:
        load_encoder(str(checkpoint))
    assert str(error.value) == (
        f"{checkpoint} lacks model-00002-of-00003.safetensors: model.safetensors.index.json names "
        "3 file(s) of weights, and all are needed."
    )


def test_an_encoder_of_no_possible_name_is_told_in_short() -> None:
    with pytest.raises(UserError) as error:
        load_encoder("x" * 5000)
    assert "(File name too long); 'minilm' is always available." in str(error.value)
    assert len(str(error.value)) < 400


def _no_unknown(tokenizer: dict[str, Any]) -> None:
    del tokenizer["model"]["vocab"]["[UNK]"]


def _another_number(tokenizer: dict[str, Any]) -> None:
    tokenizer["model"]["vocab"]["film"] = 30


def _template_of_other_tokens(tokenizer: dict[str, Any]) -> None:
    tokenizer["post_processor"]["special_tokens"] = {}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_no_unknown, "cannot be used (WordPiece error: Missing [UNK] token from the vocabulary)."),
        (_another_number, "has a token number 30, and the encoder there knows 30 tokens, from 0; "),
        (_template_of_other_tokens, "cannot be "),
    ],
)
def test_a_tokenizer_that_would_fail_at_some_sentence_is_refused(
    damage: Callable[[dict[str, Any]], None],
    message: str,
    checkpoint: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (checkpoint / "vocab.txt").write_text("".join(f"{word}\n" for word in WORDS))
    pretrained = load_encoder(str(checkpoint))
    content = json.loads(load_tokenizer(pretrained).to_str())
    damage(content)
    (checkpoint / "tokenizer.json").write_text(json.dumps(content))
    capfd.readouterr()
    with pytest.raises(UserError) as error:
        load_tokenizer(pretrained)
    assert message in str(error.value)
    assert str(error.value).startswith(f"The tokenizer in {checkpoint} ")
    assert capfd.readouterr() == ("", "")


WRONG = ["2", 2.5, None, -1, [2], {"a": 1}, True, 10**30, float("nan")]


@pytest.mark.parametrize("value", WRONG, ids=str)
@pytest.mark.parametrize("family", ["bert", *CONFIGS])
def test_a_size_of_the_wrong_kind_is_named_with_its_file(
    family: str, value: object, tmp_path: Path
) -> None:
    """Whichever key it is, before any weight is read."""
    names = {
        "hidden_size": "dim",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
    }
    for key in ("vocab_size", "max_position_embeddings", *names):
        told = names.get(key, key) if family == "distilbert" else key
        file = tmp_path / "config.json"
        file.write_text(json.dumps({"model_type": family, told: value}))
        with pytest.raises(UserError) as error:
            load_encoder(str(tmp_path))
        assert str(error.value).startswith(f'{file}: "{told}" is ')
        assert "but must be a whole number from 1 to " in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("type_vocab_size", -1, "is -1, but must be a whole number from 0 to 10000000."),
        ("num_hidden_layers", 0, "is 0, but must be a whole number from 1 to 1000."),
        ("num_hidden_layers", 2**31, "is 2147483648, but must be a whole number from 1 to 1000."),
        ("hidden_act", ["gelu"], 'is ["gelu"], but must be text.'),
        ("hidden_act", None, "is null, but must be text."),
        ("layer_norm_eps", "1e-12", 'is "1e-12", but must be a number from 0 to 1000.'),
        ("layer_norm_eps", float("inf"), "is Infinity, but must be a number from 0 to 1000."),
        ("hidden_dropout_prob", 1.5, "is 1.5, but must be a number from 0 to 1."),
        ("pad_token_id", "0", 'is "0", but must be a whole number from 0 to 10000000.'),
        ("is_decoder", "false", 'is "false", but must be true or false.'),
    ],
)
@pytest.mark.parametrize("family", ["bert", "roberta", "deberta-v2"])
def test_other_keys_of_the_wrong_kind_are_named(
    family: str, key: str, value: object, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"model_type": family, key: value}))
    with pytest.raises(UserError) as error:
        load_encoder(str(tmp_path))
    assert str(error.value) == f'{file}: "{key}" {message}'


@pytest.mark.parametrize("family", CONFIGS)
def test_a_decoder_is_refused_in_every_family(family: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family, "is_decoder": True}))
    with pytest.raises(UserError, match="describes a decoder"):
        load_encoder(str(tmp_path))


def test_weights_of_another_shape_are_named_in_other_families_too(tmp_path: Path) -> None:
    folder = save_model("roberta", tmp_path)
    _change_config(type_vocab_size=3)(folder)
    with pytest.raises(
        UserError, match=r"token_type_embeddings.weight' in .* have shape \(1, 16\)"
    ):
        load_encoder(str(folder))


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
