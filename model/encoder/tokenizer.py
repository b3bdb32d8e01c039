"""The tokenizer of a checkpoint."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from model.encoder.pretrained import Pretrained
from model.encoder.pretrained_files import SENTENCEPIECES, TOKENIZER, VOCABULARIES
from model.encoder.vocabulary import check_sentencepiece, unsaid
from spaces.errors import UserError
from spaces.library_failures import failures_told

_UNKNOWN = ["\N{SNOWMAN} \N{GRINNING FACE} qzxj \N{CJK UNIFIED IDEOGRAPH-4E00} \x7f", "1", "?!"]
"""What hardly any vocabulary has, of which a tokenizer must make something too."""


def load_tokenizer(pretrained: Pretrained) -> Tokenizer:
    """The checkpoint's tokenizer, which neither pads nor truncates.

    Raises UserError where the checkpoint's folder has none, or one for another vocabulary, or one
    that does not put one token before a sentence and one after it.
    """
    folder = Path(pretrained.folder)
    file = folder / TOKENIZER
    if not any((folder / name).is_file() for name in (TOKENIZER, *VOCABULARIES)):
        raise UserError(
            f"{folder} has no tokenizer: neither {TOKENIZER} nor {' nor '.join(VOCABULARIES)}."
        )
    with failures_told(lambda why: f"The tokenizer in {folder} cannot be read ({why})."):
        tokenizer = Tokenizer.from_file(str(file)) if file.is_file() else _convert(folder)
    if tokenizer.get_vocab_size() > pretrained.shape.vocabulary:
        raise UserError(
            f"The tokenizer in {folder} knows {tokenizer.get_vocab_size()} tokens and the encoder "
            f"there only {pretrained.shape.vocabulary}; they must come from one checkpoint."
        )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if (largest := max(tokenizer.get_vocab().values(), default=0)) >= pretrained.shape.vocabulary:
        raise UserError(
            f"The tokenizer in {folder} has a token number {largest}, and the encoder there knows "
            f"{pretrained.shape.vocabulary} tokens, from 0; they must come from one checkpoint."
        )
    with failures_told(lambda why: f"The tokenizer in {folder} cannot be used ({why}).", True):
        special = tokenizer.encode("a sentence").special_tokens_mask
        tokenizer.encode_batch(_UNKNOWN)
    if special != [1, *[0] * (len(special) - 2), 1]:
        raise UserError(
            f"The tokenizer in {folder} does not put one token before a sentence and one after it, "
            "as [CLS] and [SEP] or <s> and </s> are; only those that do can be used."
        )
    return tokenizer


def _convert(folder: Path) -> Tokenizer:
    from transformers import AutoTokenizer

    for name in SENTENCEPIECES:
        if (folder / name).is_file():
            check_sentencepiece(folder / name)
    tokenizer = AutoTokenizer.from_pretrained(
        str(folder), use_fast=True, local_files_only=True, **unsaid(folder)
    )
    converted: Tokenizer = tokenizer.backend_tokenizer
    return converted
