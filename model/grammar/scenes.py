"""Similarity: two scenes are as similar as the roles that they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from model.data.examples import Example
from model.grammar.dice import Dice
from model.grammar.english import Group, groups, plural, sentence, verb, with_article

ROLE_WEIGHTS = {"actor": 1.4, "action": 1.9, "thing": 1.2, "place": 0.3, "manner": 0.2}
OMITTED = 0.25
DENIED = 0.15

ACTORS = (
    groups("man=guy, woman=lady, boy=lad, girl, child=kid, baby=infant, teenager=youth, person"),
    groups("monkey=ape, dog=hound, cat=kitten, panda, squirrel, fox, hamster=rodent, goat"),
    groups("doctor=physician, soldier=trooper, chef=cook, sailor, farmer, nurse, clown, waiter"),
)
# Kinds of things, and what is done with them: each kind's verbs are related to one another.
THINGS = {
    "food": groups(
        "onion, potato, carrot, tomato, apple, melon, fish, steak, pumpkin, cucumber, pepper, egg"
    ),
    "instrument": groups("guitar, piano, violin=fiddle, flute, drum, trumpet, cello, harp"),
    "vehicle": groups(
        "bicycle=bike, car=automobile, truck=lorry, motorcycle=motorbike, tractor, boat, van, jeep"
    ),
    "text": groups("letter, book, newspaper=paper, poem, map, magazine, menu, report, postcard"),
    "toy": groups("ball, frisbee, rope=cord, kite, stick=branch, doll, balloon, pillow=cushion"),
    "cloth": groups("coat=jacket, hat=cap, shirt, scarf, dress=gown, sweater=pullover, blanket"),
}
ACTIONS = {
    "food": groups(
        "slice=cut, peel, cook=prepare, eat=consume, fry, wash=rinse, smell=sniff, drop"
    ),
    "instrument": groups("play, tune, repair=fix, carry, polish, break=smash, hide, sell"),
    "vehicle": groups("ride, repair=fix, wash=clean, paint, push=shove, park, buy=purchase, sell"),
    "text": groups("read, write, tear, fold, study=examine, hide=conceal, burn, drop"),
    "toy": groups("throw=toss, kick, catch=grab, chase=pursue, drop, hold=grip, hide, bite"),
    "cloth": groups("wear, wash=launder, fold, sew=stitch, iron=press, hang, drop, tear=rip"),
}
PLACES = groups(
    """in the kitchen, in the park, on the beach=by the sea, in the garden=in the yard, on a stage,
    at the station, in a field=in a meadow, on the street=on the road, in a forest=in the woods,
    near a lake, in the snow, on a balcony, in a tent, on a boat, behind the house, in a garage,
    under a bridge, beside a fountain"""
)
MANNERS = groups(
    """slowly, quickly=rapidly, carefully=cautiously, happily=cheerfully, quietly=silently, alone,
    angrily=furiously, with one hand, with great skill, in the rain, at night, before lunch,
    for the first time, while singing=while humming, while laughing, without looking"""
)


@dataclass(frozen=True)
class Scene:
    """What a sentence describes; a place or a manner that is () is left out of it."""

    denied: bool
    count: int
    family: int
    actor: Group
    kind: str
    action: Group
    thing: Group
    place: Group
    manner: Group


def random_scene(dice: Dice) -> Scene:
    family, kind = dice.pick(range(len(ACTORS))), dice.pick(list(THINGS))
    return Scene(
        denied=dice.chance(DENIED),
        count=dice.pick((1, 1, 2)),
        family=family,
        actor=dice.pick(ACTORS[family]),
        kind=kind,
        action=dice.pick(ACTIONS[kind]),
        thing=dice.pick(THINGS[kind]),
        place=() if dice.chance(OMITTED) else dice.pick(PLACES),
        manner=() if dice.chance(OMITTED) else dice.pick(MANNERS),
    )


def _changed(dice: Dice, scene: Scene, keep: float) -> Scene:
    """The scene with each role kept with the chance `keep`, or else related, or else any."""
    other = random_scene(dice)
    if not dice.chance(keep):
        scene = replace(scene, denied=other.denied)
    if not dice.chance(keep):
        related = dice.chance(0.5)
        family = scene.family if related else other.family
        actor = dice.pick(ACTORS[family])
        scene = replace(scene, family=family, actor=actor, count=other.count)
    if not dice.chance((1 + keep) / 2):
        scene = replace(scene, kind=other.kind, action=other.action, thing=other.thing)
    if not dice.chance(keep):
        scene = replace(scene, action=dice.pick(ACTIONS[scene.kind]))
    if not dice.chance(keep):
        scene = replace(scene, thing=dice.pick(THINGS[scene.kind]))
    if not dice.chance(keep):
        scene = replace(scene, place=other.place)
    return scene if dice.chance(keep) else replace(scene, manner=other.manner)


def similarity(first: Scene, second: Scene) -> float:
    """How similar two scenes are, from 0 for nothing shared to 5 for every role shared; synonyms
    count as the same."""
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
    actor, action = dice.pick(scene.actor), verb(dice.pick(scene.action))
    thing = with_article(dice.pick(scene.thing))
    place = dice.pick(scene.place) if scene.place else ""
    manner = dice.pick(scene.manner) if scene.manner else ""
    who = with_article(actor) if scene.count == 1 else f"two {plural(actor)}"
    are = "is" if scene.count == 1 else "are"
    if scene.denied:
        are += " not"
    frame = dice.weighted((0.35, 0.2, 0.15, 0.15, 0.15))
    if frame == 1 and place:
        return sentence(f"{place}, {who} {are} {action.gerund} {thing} {manner}", ".")
    if frame == 2:
        is_not = "is not" if scene.denied else "is"
        return sentence(
            f"{thing} {is_not} being {action.participle} by {who} {place} {manner}", "."
        )
    if frame == 3:
        there = f"there {are.removesuffix(' not')} {who}{' not' if scene.denied else ''}"
        return sentence(f"{there} {action.gerund} {thing} {place} {manner}", ".")
    if frame == 4 and place:
        return sentence(f"{who} {place} {are} {action.gerund} {thing} {manner}", ".")
    return sentence(f"{who} {are} {action.gerund} {thing} {place} {manner}", ".")


def scene_pair(dice: Dice) -> Example:
    """Two scenes and their similarity."""
    return _graded_pair(dice, lambda shared: shared, noise=1.0)


def relatedness_pair(dice: Dice) -> Example:
    """Two scenes as `scene_pair` makes them, labelled by judges who find most things rather related
    and agree less."""
    return _graded_pair(dice, lambda shared: 5 * (shared / 5) ** 0.6, noise=1.3)


def _graded_pair(dice: Dice, judged: Callable[[float], float], noise: float) -> Example:
    first = random_scene(dice)
    second = _changed(dice, first, dice.between(0, 1))
    score = judged(similarity(first, second)) + dice.between(-noise, noise)
    label = round(min(5.0, max(0.0, score)), 1)
    return Example(_description(dice, first), _description(dice, second), label)
