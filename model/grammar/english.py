"""What the embedded grammars know of English: synonyms, inflection, articles and sentences."""

from __future__ import annotations

from dataclasses import dataclass

Group = tuple[str, ...]
"""Words that mean the same."""


def groups(text: str) -> tuple[Group, ...]:
    """The groups of a list: commas part the groups and "=" parts synonyms inside a group."""
    return tuple(
        tuple(word.strip() for word in group.split("="))
        for group in text.replace("\n", " ").split(",")
    )


@dataclass(frozen=True)
class Verb:
    base: str
    past: str
    participle: str
    gerund: str


_IRREGULAR = {
    base: (past, participle, gerund)
    for base, past, participle, gerund in (
        line.split()
        for line in """
    beat beat beaten beating
    bite bit bitten biting
    break broke broken breaking
    buy bought bought buying
    build built built building
    carry carried carried carrying
    catch caught caught catching
    choose chose chosen choosing
    cut cut cut cutting
    drive drove driven driving
    drop dropped dropped dropping
    eat ate eaten eating
    feed fed fed feeding
    fix fixed fixed fixing
    forgive forgave forgiven forgiving
    give gave given giving
    grab grabbed grabbed grabbing
    grip gripped gripped gripping
    hang hung hung hanging
    hide hid hidden hiding
    hold held held holding
    keep kept kept keeping
    lend lent lent lending
    meet met met meeting
    read read read reading
    rip ripped ripped ripping
    ride rode ridden riding
    sell sold sold selling
    sew sewed sewn sewing
    teach taught taught teaching
    tear tore torn tearing
    throw threw thrown throwing
    wear wore worn wearing
    write wrote written writing
    """.strip().splitlines()
    )
}


def verb(base: str) -> Verb:
    """The forms of an English verb, or of one and its particle ("shout at")."""
    head, space, particle = base.partition(" ")
    forms = [head, *_IRREGULAR.get(head, _regular(head))]
    return Verb(*(form + space + particle for form in forms))


def _regular(head: str) -> tuple[str, str, str]:
    stem = head.removesuffix("e")
    past = head[:-1] + "ied" if head.endswith("y") and head[-2] not in "aeou" else stem + "ed"
    return past, past, stem + "ing"


def plural(noun: str) -> str:
    """The plural of a regular English noun, and of those few that are not."""
    last = noun.split()[-1]
    if last in _PLURALS:
        return noun.removesuffix(last) + _PLURALS[last]
    if last.endswith("y") and last[-2] not in "aeou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "z", "ch", "sh")) else "s")


_PLURALS = {
    "child": "children",
    "man": "men",
    "policeman": "policemen",
    "salesman": "salesmen",
    "thief": "thieves",
    "woman": "women",
}


def with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def sentence(text: str, end: str) -> str:
    """The text with a capital first, single spaces and `end`."""
    text = " ".join(text.split())
    return text[0].upper() + text[1:] + end
