"""Random weights as BERT's pretraining starts from."""

from __future__ import annotations

from torch import Generator, nn

_DEVIATION = 0.02


def draw_anew(part: nn.Module, generator: Generator) -> None:
    """Matrices normal with standard deviation 0.02, biases 0, the scales of normalisation 1.

    So Zhang et al. 2021 (arXiv 2006.05987, section 5) reset the top layers, as BERT's own code
    starts its pretraining.
    """
    for name, parameter in part.named_parameters():
        if parameter.ndim >= 2:
            nn.init.normal_(parameter, std=_DEVIATION, generator=generator)
        else:
            nn.init.constant_(parameter, 0.0 if name.endswith("bias") else 1.0)
