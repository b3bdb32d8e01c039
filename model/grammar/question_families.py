"""Families of questions: their words, and the frames that say the same with them."""

from __future__ import annotations

from dataclasses import dataclass

from model.grammar.english import Group, groups

PEOPLE = groups(
    """doctor=physician, lawyer=attorney, teacher=instructor, policeman=officer, actor=performer,
    author=writer, farmer=grower, singer=vocalist, soldier=trooper, thief=burglar, boss=manager,
    tenant=renter, pilot=aviator, scientist=researcher, reporter=journalist, trainer=coach,
    shopkeeper=merchant, visitor=guest, cook=chef, beginner=novice, judge, baker, nurse, plumber,
    student=pupil, mayor, dentist, carpenter, banker, sailor, tailor, butcher, gardener, librarian,
    waiter, painter, senator, engineer, clerk, neighbour"""
)
# Verbs that one person does to another; both orders of the two make sense.
DEALINGS = groups(
    """praise=commend, help=assist, hire=employ, follow=trail, call=phone, defeat=beat,
    rescue=save, warn=alert, question=interrogate, blame=accuse, insult=offend, teach=instruct,
    shout at=yell at, cheat=deceive, reward, visit, invite, thank, trust, ignore, interview, sue,
    recommend, photograph, threaten, replace, attack=assault, forgive=pardon, dismiss=fire, hinder,
    criticize, meet, avoid, admire, betray, imitate"""
)
# Each gives, and its converse takes: "A sells X to B" is "B buys X from A".
TRANSFERS = (("sell", "buy"), ("lend", "borrow"), ("rent out", "rent"), ("give", "receive"))
GOODS = groups(
    """boat, bicycle=bike, couch=sofa, car=automobile, painting=artwork, carpet=rug, piano, tractor,
    house=home, guitar, violin, camera, laptop, telescope, tent, ladder, necklace, watch, horse,
    oven=stove, coat=jacket, motorcycle=motorbike, cottage=cabin, phone=telephone, desk, wardrobe"""
)
VENUES = groups(
    """at the airport, in the library, at the market, in the hospital, at the museum, in the park,
    at the harbour, in the theatre, at the station, in the hotel, at the school, in the courtroom,
    at the stadium, in the village, on the ferry, at the wedding, in the office, on the bridge"""
)
TIMES = groups(
    """last week, yesterday, last summer, on Monday, on Friday, in March, in October, in 1998,
    in 2012, this morning, last winter, before the election, after the election, before the war,
    after the war, during the strike, after the concert, before the concert"""
)
NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve")
CHORES = groups(
    """clean=wash, repair=fix, sell, buy=purchase, paint, polish, rent, insure, transport=move,
    restore=renovate, choose=select, lock, photograph, measure, store=keep, heat, decorate, protect,
    assemble=build, dismantle, hide=conceal, advertise, inspect=examine, import, export"""
)
LIMITS = groups(
    """in winter, in summer, without a permit, with a permit, before moving, after moving,
    without tools, on a small budget, at night, during the rain, without help, with a friend,
    before a long trip, after a long trip, in a small town, in a big city, without experience"""
)
CITIES = groups(
    """Paris, Rome, Madrid, Berlin, Vienna, Lisbon, Dublin, Oslo, Athens, Prague, Warsaw, Budapest,
    Cairo, Nairobi, Lagos, Delhi, Mumbai, Tokyo, Seoul, Beijing, Sydney, Toronto, Chicago, Boston,
    Denver, Seattle, Havana, Lima, Santiago, Istanbul, Moscow, Stockholm, Geneva, Milan, Zurich"""
)
# Each pair: "A is X than B" is "B is Y than A".
COMPARISONS = (
    ("bigger", "smaller"),
    ("older", "newer"),
    ("warmer", "colder"),
    ("richer", "poorer"),
    ("wetter", "drier"),
    ("noisier", "quieter"),
    ("safer", "more dangerous"),
    ("cheaper", "more expensive"),
    ("cleaner", "dirtier"),
    ("busier", "calmer"),
)
TRANSPORT = groups(
    "by train, by bus, by car, by bicycle, by plane, on foot, by motorcycle, by boat"
)
OCCASIONS = groups(
    """for a family, for a student, for tourists, for retired people, for artists, for a nurse,
    in December, in July, at Christmas, at night, today, these days, for young people, in spring"""
)


@dataclass(frozen=True)
class Slot:
    """What may stand in one place of a question; a number takes the place of its article."""

    words: tuple[Group, ...]
    article: str = ""
    countable: bool = False


@dataclass(frozen=True)
class Family:
    """Questions of one shape: any frame of one kind asks the same.

    A frame's fields are the slots. A slot `v` of verbs is also `v_past`, `v_done` and `v_ing`, a
    slot `c` of converses is `c0` and `c1`, and `was` agrees with the slot `b`.
    """

    slots: dict[str, Slot]
    kinds: tuple[tuple[str, ...], ...]
    swaps: bool
    """Whether `a` and `b` swapped give another meaning."""


_WHO = Slot(PEOPLE, "the", countable=True)
_CITY = Slot(CITIES)
FAMILIES = (
    Family(
        {"a": _WHO, "v": Slot(DEALINGS), "b": _WHO, "when": Slot(TIMES + VENUES)},
        (
            (
                "did {a} {v} {b} {when}?",
                "{was} {b} {v_done} by {a} {when}?",
                "is it true that {a} {v_past} {b} {when}?",
                "is it true that {b} {was} {v_done} {when} by {a}?",
                "{when}, did {a} {v} {b}?",
                "{when}, {was} {b} {v_done} by {a}?",
            ),
            (
                "why did {a} {v} {b} {when}?",
                "why {was} {b} {v_done} by {a} {when}?",
                "what made {a} {v} {b} {when}?",
                "for what reason {was} {b} {v_done} by {a} {when}?",
            ),
            (
                "why did {a} not {v} {b} {when}?",
                "why {was} {b} not {v_done} by {a} {when}?",
                "what kept {a} from {v_ing} {b} {when}?",
                "for what reason did {a} never {v} {b} {when}?",
            ),
            (
                "how did {a} {v} {b} {when}?",
                "how {was} {b} {v_done} by {a} {when}?",
                "in what way {was} {b} {v_done} by {a} {when}?",
            ),
        ),
        swaps=True,
    ),
    Family(
        {
            "a": Slot(PEOPLE, "the"),
            "b": Slot(PEOPLE, "the"),
            "c": Slot(TRANSFERS),
            "thing": Slot(GOODS, "the", countable=True),
            "when": Slot(TIMES),
        },
        (
            (
                "did {a} {c0} {thing} to {b} {when}?",
                "did {b} {c1} {thing} from {a} {when}?",
                "is it true that {a} {c0_past} {thing} to {b} {when}?",
                "is it true that {b} {c1_past} {thing} from {a} {when}?",
                "{when}, did {b} {c1} {thing} from {a}?",
            ),
            (
                "why did {a} {c0} {thing} to {b} {when}?",
                "why did {b} {c1} {thing} from {a} {when}?",
                "what is the reason that {a} {c0_past} {thing} to {b} {when}?",
                "what is the reason that {b} {c1_past} {thing} from {a} {when}?",
            ),
        ),
        swaps=True,
    ),
    Family(
        {
            "v": Slot(CHORES),
            "thing": Slot(GOODS, "my", countable=True),
            "when": Slot(LIMITS),
        },
        (
            (
                "how do I {v} {thing} {when}?",
                "what is the best way to {v} {thing} {when}?",
                "which method works best for {v_ing} {thing} {when}?",
                "{when}, how should I {v} {thing}?",
                "what is a good way of {v_ing} {thing} {when}?",
            ),
            (
                "how much does it cost to {v} {thing} {when}?",
                "what is the price of {v_ing} {thing} {when}?",
                "how expensive is {v_ing} {thing} {when}?",
            ),
            (
                "how long does it take to {v} {thing} {when}?",
                "how much time is needed for {v_ing} {thing} {when}?",
                "{when}, how many hours does {v_ing} {thing} take?",
            ),
            (
                "is it a bad idea to {v} {thing} {when}?",
                "should I avoid {v_ing} {thing} {when}?",
                "{when}, is {v_ing} {thing} a mistake?",
            ),
        ),
        swaps=False,
    ),
    Family(
        {"a": _CITY, "b": _CITY, "c": Slot(COMPARISONS), "when": Slot(OCCASIONS)},
        (
            (
                "is {a} {c0} than {b} {when}?",
                "is {b} {c1} than {a} {when}?",
                "{when}, is {a} {c0} than {b}?",
                "would you say that {b} is {c1} than {a} {when}?",
            ),
            (
                "why is {a} {c0} than {b} {when}?",
                "what makes {a} {c0} than {b} {when}?",
                "{when}, why is {b} {c1} than {a}?",
                "what makes {b} {c1} than {a} {when}?",
            ),
        ),
        swaps=True,
    ),
    Family(
        {"a": _CITY, "b": _CITY, "when": Slot(TRANSPORT)},
        (
            (
                "how long does it take to travel from {a} to {b} {when}?",
                "what is the travel time to {b} from {a} {when}?",
                "how many hours is the journey {when} from {a} to {b}?",
                "{when}, how long is the trip to {b} from {a}?",
            ),
            (
                "how much does it cost to travel from {a} to {b} {when}?",
                "what is the price of a trip {when} to {b} from {a}?",
                "how expensive is the journey {when} from {a} to {b}?",
                "{when}, what does the trip to {b} from {a} cost?",
            ),
            (
                "is it safe to travel from {a} to {b} {when}?",
                "{when}, is the trip to {b} from {a} without danger?",
                "are there any dangers on the journey {when} from {a} to {b}?",
            ),
        ),
        swaps=True,
    ),
)
FAMILY_SHARES = (0.35, 0.15, 0.25, 0.13, 0.12)
