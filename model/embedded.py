"""The embedded data set: three tasks from a small grammar, so that a study needs no download.

Every sentence is made here, from the words of `embedded_words`. The tasks are hard in the ways of
the real ones: sentiment is composed (negation, contrast, degree), questions that share their words
may differ in who does what to whom, and similarity is graded by the roles that two scenes share.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from model import embedded_words as words
from model.embedded_words import Family, Group, Slot
from model.examples import Dataset, Example

Item = TypeVar("Item")


class Dice:
    """Random choices that are the same under every version of Python.

    Only `Random.random` promises to stay the same for a seed, so everything is made from it.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self._random.random()

    def pick(self, items: Sequence[Item]) -> Item:
        return items[int(self._random.random() * len(items))]

    def other(self, items: Sequence[Item], than: Item) -> Item:
        return self.pick([item for item in items if item != than])

    def weighted(self, weights: Sequence[float]) -> int:
        """The index of one of the weights, which sum to 1."""
        left = self._random.random()
        for index, weight in enumerate(weights):
            left -= weight
            if left < 0:
                return index
        return len(weights) - 1


def generate(seed: int = 0, train: int = 2048, dev: int = 512) -> Dataset:
    """`train` and `dev` examples a task; for "sst" and "sts" also half of `train` as extra data.

    The labels are those of the real data: "sst" classes 0-4, "para" 0 or 1, "sts" 0-5. No sentence
    occurs twice within a task, so train, dev and extra share none.
    """
    makers: dict[str, Callable[[Dice], Example]] = {
        "sst": _critique,
        "para": _question_pair,
        "sts": _scene_pair,
    }
    extra_makers = {"sst": _review, "sts": _relatedness_pair}
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


def _sentence(text: str, end: str) -> str:
    text = " ".join(text.split())
    return text[0].upper() + text[1:] + end


# Sentiment: opinions have a score, and a sentence's class is the score of the whole.

CLASS_SHARES = (0.18, 0.22, 0.2, 0.22, 0.18)
STAR_SHARES = (0.02, 0.02, 0.07, 0.21, 0.68)
THRESHOLDS = (-1.4, -0.4, 0.4, 1.4)
LABEL_NOISE = 0.03
# By an adjective's score: "not dull" says less than "charming", "not superb" less than "awful".
NEGATED = {-2: 0.5, -1: 0.7, 0: 0.0, 1: -1.0, 2: -0.7}


def _class_of(score: float) -> int:
    return sum(score > threshold for threshold in THRESHOLDS)


def _adjective(dice: Dice, score: int) -> str:
    return dice.pick(dice.pick(words.JUDGEMENTS[score + 2]))


def _judgement(dice: Dice) -> tuple[str, float]:
    """What follows "is", and its score."""
    score = dice.pick((-2, -1, -1, 0, 1, 1, 2))
    adjective = _adjective(dice, score)
    form = dice.weighted((0.3, 0.2, 0.15, 0.2, 0.08, 0.07))
    if form == 1:
        return f"{dice.pick(words.STRONGER)} {adjective}", 1.5 * score
    if form == 2:
        return f"{dice.pick(words.WEAKER)} {adjective}", 0.6 * score
    if form == 3:
        return f"{dice.pick(('not', 'never', 'hardly'))} {adjective}", NEGATED[score]
    if form == 4:
        return f"{dice.pick(('anything but', 'far from'))} {adjective}", -0.8 * score
    if form == 5:
        second = dice.pick((-1, 1))
        return f"more {_adjective(dice, second)} than {adjective}", 1.2 * second
    return adjective, float(score)


def _opinion(dice: Dice, aspects: Sequence[Group], works: Sequence[Group]) -> tuple[str, float]:
    """One clause and its score."""
    aspect, work = dice.pick(dice.pick(aspects)), dice.pick(dice.pick(works))
    form = dice.weighted((0.72, 0.07, 0.07, 0.07, 0.07))
    score = dice.pick((-2, -1, 1, 2))
    if form == 1:
        return f"the {work} wastes its {_adjective(dice, abs(score))} {aspect}", -1.0
    if form == 2:
        return f"the {aspect} rescues this {_adjective(dice, -abs(score))} {work}", 1.0
    if form == 3:
        return f"the {aspect} lacks a single {_adjective(dice, score)} detail", -0.6 * score
    if form == 4:
        return f"nobody could call the {aspect} {_adjective(dice, score)}", -0.6 * score
    judgement, value = _judgement(dice)
    return f"{dice.pick(('the', 'its', 'the', 'this'))} {aspect} is {judgement}", value


def _critique(dice: Dice) -> Example:
    """A sentence on a film and its class."""
    target = dice.weighted(CLASS_SHARES)
    while True:
        text, score = _film_sentence(dice)
        if _class_of(score) == target:
            break
    if dice.chance(LABEL_NOISE):
        target = min(4, max(0, target + dice.pick((-1, 1))))
    return Example(_sentence(text, "."), None, float(target))


def _film_sentence(dice: Dice) -> tuple[str, float]:
    work = dice.pick(dice.pick(words.WORKS))
    form = dice.weighted((0.3, 0.17, 0.1, 0.1, 0.15, 0.08, 0.1))
    if form == 6:
        hero, deed = dice.pick(dice.pick(words.PROTAGONISTS)), dice.pick(dice.pick(words.DEEDS))
        return f"the {work} follows {_with_article(hero)} who {deed}", 0.0
    if form == 5:
        expected, found = dice.pick((-2, -1, 1, 2)), dice.pick((-2, -1, 1, 2))
        hoped = f"I expected something {_adjective(dice, expected)}"
        return f"{hoped}, but this {work} is {_adjective(dice, found)}", 1.0 * found
    first, first_score = _opinion(dice, words.ASPECTS, words.WORKS)
    if form == 0:
        return f"{dice.pick(('on the whole, ', 'in the end, ', ''))}{first}", first_score
    second, second_score = _opinion(dice, words.ASPECTS, words.WORKS)
    if form == 4:
        return f"{first} and {second}", 0.6 * (first_score + second_score)
    # What is conceded counts less than what it is set against.
    score = 0.25 * first_score + 0.9 * second_score
    if form == 1:
        return f"{first} but {second}", score
    return (f"although {first}, {second}" if form == 2 else f"{second}, even though {first}"), score


def _review(dice: Dice) -> Example:
    """A longer text on a product and its stars, as a class; most have the most."""
    target = dice.weighted(STAR_SHARES)
    clauses = [f"{dice.pick(dice.pick(words.PURCHASES))}."]
    for _ in range(dice.pick((2, 3, 4, 5))):
        while True:
            clause, score = _opinion(dice, words.PRODUCT_ASPECTS, words.PRODUCTS)
            if abs(_class_of(score) - target) <= 1:
                break
        clauses.insert(dice.pick(range(len(clauses) + 1)), _sentence(clause, "."))
    return Example(" ".join(clauses), None, float(target))


# Paraphrases: a meaning fills the slots of a family of questions, and any frame of a kind says it.

PARAPHRASES = 0.4
UNRELATED = 0.01
COUNTED = 0.5
SAME_FRAME = 0.08


@dataclass(frozen=True)
class Meaning:
    family: Family
    kind: int
    slots: dict[str, Group]


def _filler(dice: Dice, slot: Slot, count: str) -> Group:
    group = dice.pick(slot.words)
    if count:
        return tuple(f"{count} {words.plural(noun)}" for noun in group)
    return tuple(f"{slot.article} {word}".strip() for word in group)


def _said_twice(slots: dict[str, Group]) -> bool:
    return "b" in slots and slots["a"] == slots["b"]


def _meaning(dice: Dice) -> Meaning:
    family = words.FAMILIES[dice.weighted(words.FAMILY_SHARES)]
    slots: dict[str, Group] = {}
    for name, slot in family.slots.items():
        counted = slot.countable and dice.chance(COUNTED)
        count = dice.pick(words.NUMBERS) if counted else ""
        slots[name] = _filler(dice, slot, count)
        while name == "b" and _said_twice(slots):
            slots[name] = _filler(dice, slot, count)
    return Meaning(family, dice.pick(range(len(family.kinds))), slots)


def _near_miss(dice: Dice, meaning: Meaning) -> Meaning:
    """A meaning that differs in one respect."""
    family, slots = meaning.family, dict(meaning.slots)
    counts = {name: _count(group) for name, group in slots.items() if _count(group)}
    if family.swaps and dice.chance(0.45):
        slots["a"], slots["b"] = slots["b"], slots["a"]
    elif counts and dice.chance(0.6):
        name = dice.pick(list(counts))
        count = dice.other(words.NUMBERS, counts[name])
        slots[name] = tuple(count + phrase.removeprefix(counts[name]) for phrase in slots[name])
    elif dice.chance(0.5):
        return replace(meaning, kind=dice.other(range(len(family.kinds)), meaning.kind))
    else:
        name = dice.pick(list(slots))
        while slots[name] == meaning.slots[name] or _said_twice(slots):
            slots[name] = _filler(dice, family.slots[name], counts.get(name, ""))
    return replace(meaning, slots=slots)


def _count(group: Group) -> str:
    """The number before a noun, or nothing."""
    number = group[0].split()[0]
    return number if number in words.NUMBERS else ""


def _question(dice: Dice, meaning: Meaning, frame: str, chosen: dict[str, str]) -> str:
    """The question in `frame`, with the words `chosen` where the meaning allows them."""
    fields = {"was": "was"}
    for name, group in meaning.slots.items():
        word = chosen[name] if chosen.get(name) in group else dice.pick(group)
        if name == "c":
            for side, name_of_side in zip(group, ("c0", "c1"), strict=True):
                fields |= _forms(name_of_side, side)
        else:
            fields |= _forms(name, word)
            chosen[name] = word
        if name == "b" and not word.startswith("the "):
            fields["was"] = "were"
    return _sentence(frame.format(**fields), "")


def _forms(name: str, word: str) -> dict[str, str]:
    forms = words.verb(word)
    return {
        name: word,
        f"{name}_past": forms.past,
        f"{name}_done": forms.participle,
        f"{name}_ing": forms.gerund,
    }


def _question_pair(dice: Dice) -> Example:
    first = _meaning(dice)
    same = dice.chance(PARAPHRASES)
    if same:
        second = first
    elif dice.chance(UNRELATED):
        second = _meaning(dice)
    else:
        second = _near_miss(dice, first)
    if not same and (second.kind, second.slots) == (first.kind, first.slots):
        return _question_pair(dice)
    frame = dice.pick(first.family.kinds[first.kind])
    frames = second.family.kinds[second.kind]
    # Both labels have the same chance of the same frame: the frame alone must tell nothing.
    if frame in frames and dice.chance(SAME_FRAME):
        other_frame = frame
    else:
        other_frame = dice.other(frames, frame)
    chosen: dict[str, str] = {}
    question = _question(dice, first, frame, chosen)
    # A changed word costs a near miss overlap, so fewer of its other words are changed.
    kept = {name: word for name, word in chosen.items() if dice.chance(0 if same else 0.9)}
    return Example(question, _question(dice, second, other_frame, kept), float(same))


# Similarity: two scenes are as similar as the roles that they share.

ROLE_WEIGHTS = {"actor": 1.4, "action": 1.9, "thing": 1.2, "place": 0.3, "manner": 0.2}
OMITTED = 0.25
DENIED = 0.15


@dataclass(frozen=True)
class Scene:
    """A place or manner of () is left out."""

    denied: bool
    count: int
    family: int
    actor: Group
    kind: str
    action: Group
    thing: Group
    place: Group
    manner: Group


def _scene(dice: Dice) -> Scene:
    family, kind = dice.pick(range(len(words.ACTORS))), dice.pick(list(words.THINGS))
    return Scene(
        denied=dice.chance(DENIED),
        count=dice.pick((1, 1, 2)),
        family=family,
        actor=dice.pick(words.ACTORS[family]),
        kind=kind,
        action=dice.pick(words.ACTIONS[kind]),
        thing=dice.pick(words.THINGS[kind]),
        place=() if dice.chance(OMITTED) else dice.pick(words.PLACES),
        manner=() if dice.chance(OMITTED) else dice.pick(words.MANNERS),
    )


def _changed(dice: Dice, scene: Scene, keep: float) -> Scene:
    """The scene with each role kept with the chance `keep`, or else related, or else any."""
    other = _scene(dice)
    if not dice.chance(keep):
        scene = replace(scene, denied=other.denied)
    if not dice.chance(keep):
        related = dice.chance(0.5)
        family = scene.family if related else other.family
        actor = dice.pick(words.ACTORS[family])
        scene = replace(scene, family=family, actor=actor, count=other.count)
    if not dice.chance((1 + keep) / 2):
        scene = replace(scene, kind=other.kind, action=other.action, thing=other.thing)
    if not dice.chance(keep):
        scene = replace(scene, action=dice.pick(words.ACTIONS[scene.kind]))
    if not dice.chance(keep):
        scene = replace(scene, thing=dice.pick(words.THINGS[scene.kind]))
    if not dice.chance(keep):
        scene = replace(scene, place=other.place)
    return scene if dice.chance(keep) else replace(scene, manner=other.manner)


def similarity(first: Scene, second: Scene) -> float:
    """From 0 for nothing shared to 5 for every role shared; synonyms count as the same."""
    same_kind = first.kind == second.kind
    shares = {
        "actor": _share(first.actor, second.actor, 0.4 if first.family == second.family else 0),
        "action": _share(first.action, second.action, 0.2 if same_kind else 0),
        "thing": _share(first.thing, second.thing, 0.2 if same_kind else 0),
        "place": _share(first.place, second.place, 0),
        "manner": _share(first.manner, second.manner, 0),
    }
    if first.count != second.count:
        shares["actor"] *= 0.5
    score = sum(ROLE_WEIGHTS[role] * share for role, share in shares.items())
    # Another event in the same setting is less similar than the shared setting suggests.
    score *= 0.5 + 0.5 * shares["action"]
    return score * (0.5 if first.denied != second.denied else 1)


def _share(first: Group, second: Group, related: float) -> float:
    if first == second:
        return 1.0
    return related if first and second else 0.4


def _description(dice: Dice, scene: Scene) -> str:
    actor, action = dice.pick(scene.actor), words.verb(dice.pick(scene.action))
    thing = _with_article(dice.pick(scene.thing))
    place = dice.pick(scene.place) if scene.place else ""
    manner = dice.pick(scene.manner) if scene.manner else ""
    who = _with_article(actor) if scene.count == 1 else f"two {words.plural(actor)}"
    are = "is" if scene.count == 1 else "are"
    if scene.denied:
        are += " not"
    frame = dice.weighted((0.35, 0.2, 0.15, 0.15, 0.15))
    if frame == 1 and place:
        return _sentence(f"{place}, {who} {are} {action.gerund} {thing} {manner}", ".")
    if frame == 2:
        is_not = "is not" if scene.denied else "is"
        return _sentence(
            f"{thing} {is_not} being {action.participle} by {who} {place} {manner}", "."
        )
    if frame == 3:
        there = f"there {are.removesuffix(' not')} {who}{' not' if scene.denied else ''}"
        return _sentence(f"{there} {action.gerund} {thing} {place} {manner}", ".")
    if frame == 4 and place:
        return _sentence(f"{who} {place} {are} {action.gerund} {thing} {manner}", ".")
    return _sentence(f"{who} {are} {action.gerund} {thing} {place} {manner}", ".")


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _scene_pair(dice: Dice) -> Example:
    """Two scenes and their similarity."""
    return _graded_pair(dice, lambda shared: shared, noise=1.0)


def _relatedness_pair(dice: Dice) -> Example:
    """As `_scene_pair`, by judges who find most things rather related and agree less."""
    return _graded_pair(dice, lambda shared: 5 * (shared / 5) ** 0.6, noise=1.3)


def _graded_pair(dice: Dice, judged: Callable[[float], float], noise: float) -> Example:
    first = _scene(dice)
    second = _changed(dice, first, dice.between(0, 1))
    score = judged(similarity(first, second)) + dice.between(-noise, noise)
    label = round(min(5.0, max(0.0, score)), 1)
    return Example(_description(dice, first), _description(dice, second), label)
