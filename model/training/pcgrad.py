"""Projecting conflicting gradients (Yu et al. 2020, arXiv 2001.06782, algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def project(products: Sequence[Sequence[float]], seed: Sequence[int]) -> list[float]:
    """The number of times that each task's gradient is in the sum of the projected ones.

    A task's gradient meets those of the others, in an order drawn from `seed`: where their
    scalar product is negative, it loses its part along the other. All that comes of it are sums
    of the gradients that there were, so that their scalar products, (tasks, tasks), are enough.
    Without a conflict every number is 1.
    """
    generator = np.random.default_rng(seed)
    tasks = range(len(products))
    total = [0.0] * len(products)
    for task in tasks:
        parts = [float(other == task) for other in tasks]
        for other in generator.permutation([o for o in tasks if o != task]).tolist():
            product = sum(part * products[k][other] for k, part in enumerate(parts))
            if product < 0:
                parts[other] -= product / products[other][other]
        total = [sum(pair) for pair in zip(total, parts, strict=True)]
    return total
