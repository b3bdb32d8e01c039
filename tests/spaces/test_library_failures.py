"""Whatever a library raises becomes one sentence, and what asks for an end stays so."""

from __future__ import annotations

import os

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from spaces import UserError
from spaces.library_failures import failures_told


def tell(why: str) -> str:
    return f"It does not work ({why})."


def panicking() -> Tokenizer:
    """Its template has a token that it does not know, which its library finds out too late."""
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", special_tokens=[("[CLS]", 1)]
    )
    return Tokenizer.from_str(
        tokenizer.to_str().replace('"id":"[CLS]","type_id"', '"id":"[X]","type_id"')
    )


def test_the_first_line_of_what_a_library_says_is_told() -> None:
    with pytest.raises(UserError) as error, failures_told(tell):
        raise RuntimeError("bad file.\nand more of it")
    assert str(error.value) == "It does not work (bad file)."


def test_a_long_text_is_told_in_part() -> None:
    with pytest.raises(UserError) as error, failures_told(tell):
        raise ValueError("x" * 100_000)
    assert len(str(error.value)) < 300


def test_a_panic_is_a_sentence_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    tokenizer = panicking()
    with pytest.raises(UserError, match=r"It does not work \(no entry found for key\)."):  # noqa: SIM117
        with failures_told(tell, hushed=True):
            tokenizer.encode("a")
    os.write(2, b"heard again")
    assert capfd.readouterr().err == "heard again"


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_what_asks_the_program_to_end_stays_so(end: type[BaseException]) -> None:
    with pytest.raises(end), failures_told(tell, hushed=True):
        raise end


def test_our_own_sentences_stay_as_they_are() -> None:
    with pytest.raises(UserError, match=r"^Ours\.$"), failures_told(tell):
        raise UserError("Ours.")
