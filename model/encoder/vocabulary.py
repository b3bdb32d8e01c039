"""What is to be known of a vocabulary before transformers makes a tokenizer from it alone.

How a WordPiece vocabulary wants texts to be normalised, where no file says so: BERT's tokenizers
lower-case texts unless they are told otherwise, and a checkpoint of a cased one may come without
the file that tells them. Then most capitals would be read as unknown, or as something else.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from model.encoder.pretrained_files import TOKENIZER_CONFIG, WORDPIECE

_FEW = 0.01
"""The share of a lower-cased vocabulary that may be otherwise: placeholders, added words."""

_SPECIAL = re.compile(r"\[.*\]|<.*>")


def unsaid(folder: Path) -> dict[str, Any]:
    """How texts are normalised, where a folder has a WordPiece vocabulary and no file says it."""
    if not (folder / WORDPIECE).is_file():
        return {}
    file = folder / TOKENIZER_CONFIG
    said = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if not isinstance(said, dict):
        raise ValueError(f"{file.name} must be a JSON object")
    lower = said.get("do_lower_case")
    if not isinstance(lower, bool | None):
        raise ValueError(f'"do_lower_case" in {file.name} must be true or false')
    if lower is not None:
        return {}
    tokens = (folder / WORDPIECE).read_text(encoding="utf-8").splitlines()
    return {name: value for name, value in normalisation(tokens).items() if said.get(name) is None}


def check_sentencepiece(file: Path) -> None:
    """Raise ValueError for a damaged model: transformers takes it for another kind of file, and
    asks for what reads that."""
    from sentencepiece import SentencePieceProcessor

    try:
        SentencePieceProcessor().LoadFromSerializedProto(file.read_bytes())
    except RuntimeError as error:
        raise ValueError(f"{file.name} is damaged, or no SentencePiece model") from error


def normalisation(vocabulary: Iterable[str]) -> dict[str, Any]:
    """`do_lower_case` and `strip_accents`, as transformers' tokenizers take them."""
    words = [token for token in vocabulary if token and not _SPECIAL.fullmatch(token)]
    if _has_more_than_few(words, str.lower):
        return {"do_lower_case": False}
    if _has_more_than_few(words, _without_accents):
        return {"do_lower_case": True, "strip_accents": False}
    return {"do_lower_case": True}


def _has_more_than_few(words: list[str], changed: Callable[[str], str]) -> bool:
    """Whether the vocabulary would lose words, of those in letters that have a case."""
    letters = [word for word in words if word.lower() != word.upper()]
    return sum(changed(word) != word for word in letters) > _FEW * len(letters)


def _without_accents(word: str) -> str:
    """As BERT's tokenizers take accents off Latin letters."""
    parts = unicodedata.normalize("NFD", word)
    return "".join(part for part in parts if unicodedata.category(part) != "Mn")
