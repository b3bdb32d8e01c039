"""The embedded data set: three tasks from small grammars, so that a study needs no download.

Every sentence is made here, by one of the `embedded_*` grammars. The tasks are hard in the ways of
the real ones: sentiment is composed (negation, contrast, degree), questions that share their words
may differ in who does what to whom, and similarity is graded by the roles that two scenes share.
"""

from __future__ import annotations

from collections.abc import Callable

from model.data.examples import Dataset, Example
from model.grammar.dice import Dice
from model.grammar.questions import question_pair
from model.grammar.scenes import relatedness_pair, scene_pair
from model.grammar.sentiment import critique, review


def generate(seed: int = 0, train: int = 2048, dev: int = 512) -> Dataset:
    """`train` and `dev` examples a task; for "sst" and "sts" also half of `train` as extra data.

    The labels are those of the real data: "sst" classes 0-4, "para" 0 or 1, "sts" 0-5. No sentence
    occurs twice within a task, so train, dev and extra share none.
    """
    makers: dict[str, Callable[[Dice], Example]] = {
        "sst": critique,
        "para": question_pair,
        "sts": scene_pair,
    }
    extra_makers = {"sst": review, "sts": relatedness_pair}
    splits: dict[str, dict[str, tuple[Example, ...]]] = {}
    extra: dict[str, tuple[Example, ...]] = {}
    for stream, (task, make) in enumerate(makers.items()):
        # A stream of its own keeps a task's data as it was when another task's grammar changes.
        dice = Dice(seed * len(makers) + stream)
        seen: set[str] = set()
        # Dev comes first, so that it is the same for every size of train.
        held_out = _fresh(dev, make, dice, seen)
        splits[task] = {"train": _fresh(train, make, dice, seen), "dev": held_out}
        if task in extra_makers:
            extra[task] = _fresh(train // 2, extra_makers[task], dice, seen)
    return Dataset(splits, extra)


def _fresh(
    count: int, make: Callable[[Dice], Example], dice: Dice, seen: set[str]
) -> tuple[Example, ...]:
    examples: list[Example] = []
    while len(examples) < count:
        example = make(dice)
        texts = [text for text in (example.first, example.second) if text is not None]
        if len(set(texts)) == len(texts) and seen.isdisjoint(texts):
            seen.update(texts)
            examples.append(example)
    return tuple(examples)
