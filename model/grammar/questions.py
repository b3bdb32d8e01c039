"""Paraphrases: a meaning fills a question family's slots, and any frame of a kind says it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from model.data.examples import Example
from model.grammar.dice import Dice
from model.grammar.english import Group, plural, sentence, verb
from model.grammar.question_families import FAMILIES, FAMILY_SHARES, NUMBERS, Family, Slot

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
        return tuple(f"{count} {plural(noun)}" for noun in group)
    return tuple(f"{slot.article} {word}".strip() for word in group)


def _said_twice(slots: dict[str, Group]) -> bool:
    return "b" in slots and slots["a"] == slots["b"]


def _meaning(dice: Dice) -> Meaning:
    family = FAMILIES[dice.weighted(FAMILY_SHARES)]
    slots: dict[str, Group] = {}
    for name, slot in family.slots.items():
        counted = slot.countable and dice.chance(COUNTED)
        count = dice.pick(NUMBERS) if counted else ""
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
        count = dice.other(NUMBERS, counts[name])
        slots[name] = tuple(count + phrase.removeprefix(counts[name]) for phrase in slots[name])
    elif dice.chance(0.5):
        return replace(meaning, kind=dice.other(range(len(family.kinds)), meaning.kind))
    else:
        name = dice.pick(list(slots))
        while slots[name] == meaning.slots[name] or _said_twice(slots):
            slots[name] = _filler(dice, family.slots[name], counts.get(name, ""))
    return replace(meaning, slots=slots)


def _count(group: Group) -> str:
    """The number that stands before a noun; an empty text where none does."""
    number = group[0].split()[0]
    return number if number in NUMBERS else ""


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
    return sentence(frame.format(**fields), "")


def _forms(name: str, word: str) -> dict[str, str]:
    forms = verb(word)
    return {
        name: word,
        f"{name}_past": forms.past,
        f"{name}_done": forms.participle,
        f"{name}_ing": forms.gerund,
    }


def question_pair(dice: Dice) -> Example:
    """Two questions, and whether they mean the same."""
    first = _meaning(dice)
    same = dice.chance(PARAPHRASES)
    if same:
        second = first
    elif dice.chance(UNRELATED):
        second = _meaning(dice)
    else:
        second = _near_miss(dice, first)
    if not same and (second.kind, second.slots) == (first.kind, first.slots):
        return question_pair(dice)
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
