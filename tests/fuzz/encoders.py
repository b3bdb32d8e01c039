"""Folders of pretrained encoders that are not what they should be."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

from model.encoder.pretrained import build, load_encoder
from model.encoder.tokenizer import load_tokenizer
from model.layers.packing import pack
from tests.fuzz import materials, places, rule
from tests.fuzz.mutations import change_json_value, changed_value, mutated

_STUDY = materials.STUDY.replace("train = 64", "train = 32")
_SENTENCES = ["A fine film .", "how do I begin ?", "", "\N{SNOWMAN} x" * 20]


def make(folder: Path, chance: Random) -> list[str]:
    kind = chance.choice([*_FOLDERS])
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(_sound_folder(kind), folder / "encoder")
    (folder / "study.toml").write_text(_STUDY, encoding="utf-8")
    files = list(materials.files_below(folder / "encoder"))
    done = []
    for file in chance.sample(files, chance.choice([1, 1, 1, 2])):
        if chance.random() < 0.1:
            done += places.displaced(file, chance)
            continue
        own = [change_json_value] if file.suffix == ".json" else _OWN.get(file.suffix, [])
        content, what = mutated(file.read_bytes(), chance, own)
        materials.rewrite(file, content)
        done += [f"{kind}/{file.name}: {', '.join(what)}"]
    return done


def run(folder: Path) -> list[rule.Ending]:
    endings = [rule.verb("plan", folder / "study.toml", "--no-timing")]
    if endings[0].code == 0:
        endings.append(rule.call(lambda: _encode(folder / "encoder")))
        if endings[-1].code:
            endings.append(rule.Ending(0, fault=f"plan does not say: {endings[-1].err[:200]}"))
    return endings


def _encode(folder: Path) -> None:
    """What each trial would do with the encoder first."""
    import torch

    encoder = load_encoder(str(folder))
    tokenizer = load_tokenizer(encoder)
    tokens = [tokenizer.encode(sentence).ids[: encoder.shape.positions] for sentence in _SENTENCES]
    with torch.no_grad():
        states = build(encoder, dropout=0.1)(pack([torch.tensor(ids).numpy() for ids in tokens]))
    assert states.shape[1] == encoder.shape.hidden


def _whole(folder: Path) -> None:
    shutil.copytree(materials.tiny_encoder(), folder)


def _sharded(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    _whole(folder)
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    pieces = {
        "model-00001-of-00002.safetensors": names[: len(names) // 2],
        "model-00002-of-00002.safetensors": names[len(names) // 2 :],
    }
    for file, held in pieces.items():
        save_file({name: weights[name] for name in held}, folder / file)
    index = {name: file for file, held in pieces.items() for name in held}
    text = json.dumps({"metadata": {"total_size": 1}, "weight_map": index})
    (folder / "model.safetensors.index.json").write_text(text)
    (folder / "model.safetensors").unlink()


def _pickled(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    _whole(folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _with_vocabulary(folder: Path) -> None:
    """Of BERT's own files, without tokenizer.json."""
    _whole(folder)
    made = json.loads((folder / "tokenizer.json").read_text())
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in made["model"]["vocab"]))
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"do_lower_case": True, "tokenizer_class": "BertTokenizer"})
    )
    special = {"unk_token": "[UNK]", "sep_token": "[SEP]", "cls_token": "[CLS]"}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))


def _roberta(folder: Path) -> None:
    """Another family, with vocabulary and merges."""
    from transformers import AutoModel, RobertaConfig

    folder.mkdir()
    characters = [chr(code) for code in range(33, 127)] + ["Ġ"]
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *characters, "<mask>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "RobertaTokenizer"})
    )
    shape = RobertaConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=66,
        type_vocab_size=1,
    )
    AutoModel.from_config(shape).save_pretrained(folder)


def _sentencepieces(folder: Path) -> None:
    """A third family, with a SentencePiece model alone."""
    from io import BytesIO

    from sentencepiece import SentencePieceTrainer
    from transformers import AutoModel, XLMRobertaConfig

    learned = BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter([e.first for e in materials.examples()["sst"][:100]]),
        model_writer=learned,
        vocab_size=150,
        hard_vocab_limit=False,
        minloglevel=2,
        unk_id=0,
        bos_id=1,
        eos_id=2,
    )
    folder.mkdir()
    (folder / "sentencepiece.bpe.model").write_bytes(learned.getvalue())
    shape = XLMRobertaConfig(
        vocab_size=160,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=66,
        type_vocab_size=1,
    )
    AutoModel.from_config(shape).save_pretrained(folder)


_FOLDERS: dict[str, Callable[[Path], None]] = {
    "whole": _whole,
    "sharded": _sharded,
    "pickled": _pickled,
    "vocabulary": _with_vocabulary,
    "roberta": _roberta,
    "sentencepieces": _sentencepieces,
}


@cache
def _sound_folder(kind: str) -> Path:
    folder = materials.workshop() / f"encoder-{kind}"
    _FOLDERS[kind](folder)
    return folder


def change_safetensors_head(content: bytes, chance: Random) -> bytes:
    """What the file says of its tensors, while its length stays right."""
    if len(content) < 8:
        return content
    (length,) = struct.unpack("<Q", content[:8])
    try:
        head = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError, OverflowError):
        return content
    changed = json.dumps(changed_value(head, chance)).encode()
    return struct.pack("<Q", len(changed)) + changed + content[8 + length :]


def change_safetensors_start(content: bytes, chance: Random) -> bytes:
    lengths = [0, 1, 2**63, 2**64 - 1, len(content), chance.randrange(2**16)]
    return struct.pack("<Q", chance.choice(lengths)) + content[8:]


def change_early_bytes(content: bytes, chance: Random) -> bytes:
    """Where the file says what it holds."""
    at = chance.randrange(min(len(content), 2000) or 1)
    return content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :]


_OWN: dict[str, list[Callable[[bytes, Random], bytes]]] = {
    ".safetensors": [change_safetensors_head, change_safetensors_start, change_early_bytes],
    ".bin": [change_early_bytes],
}
