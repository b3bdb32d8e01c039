"""The vocabulary of the embedded data set: words in groups, and how verbs are inflected.

In a list, commas part the groups and "=" parts synonyms inside a group.
"""

from __future__ import annotations

from dataclasses import dataclass

Group = tuple[str, ...]
"""Words that mean the same."""


def groups(text: str) -> tuple[Group, ...]:
    """The groups of one of the lists below."""
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

# Opinions on films.

ASPECTS = groups(
    """plot=story, acting, script=screenplay, ending=finale, dialogue, soundtrack=score, pacing,
    camerawork=photography, lead actor, villain, heroine, humour=comedy, romance, premise, editing,
    first act, final hour, costume design, direction, opening scene, chase sequence, narration,
    supporting cast, love story, twist, setting, message, courtroom scene, animation, sound mix,
    childhood subplot, title song, rivalry, flashback, makeup, duel, car chase, prologue"""
)
PRODUCT_ASPECTS = groups(
    """handle, zipper, battery, screen, cable, strap, lid, motor, keyboard, charger, fabric, blade,
    speaker, cushion, hinge, packaging, manual, switch, lens, filter, nozzle, stand, coating"""
)
WORKS = groups("film=movie=picture, drama, thriller, sequel, documentary, remake, musical, western")
PRODUCTS = groups(
    "blender, backpack, lamp, kettle, headset, drill, tent, mattress, toaster, vacuum cleaner"
)
# From worst to best; the score of each list is its place: -2, -1, 0, 1, 2.
JUDGEMENTS = (
    groups(
        """atrocious, dreadful, abysmal, unbearable, horrendous, appalling, insufferable, wretched,
        disastrous, excruciating, repulsive, worthless, ghastly, abominable, hideous, pathetic,
        unwatchable, laughable, hateful, idiotic"""
    ),
    groups(
        """weak, dull, bland, clumsy, tedious, shallow, predictable, sluggish, stale, awkward,
        forgettable, uneven, flat, muddled, stilted, thin, tired, messy, lifeless, contrived, slow,
        confusing, derivative, silly"""
    ),
    groups(
        """conventional, familiar, average, ordinary, standard, typical, acceptable, unremarkable,
        traditional, simple, quiet, restrained, unusual, odd"""
    ),
    groups(
        """pleasant, charming, solid, amusing, engaging, clever, likeable, warm, decent, sweet,
        enjoyable, lively, tender, graceful, tidy, fresh, witty, thoughtful, sincere, neat,
        interesting, entertaining, sharp, appealing"""
    ),
    groups(
        """superb, brilliant, magnificent, stunning, flawless, dazzling, exquisite, phenomenal,
        breathtaking, masterful, glorious, extraordinary, sublime, spectacular, astonishing,
        unforgettable, marvellous, triumphant, wonderful, outstanding"""
    ),
)
STRONGER = ("very", "deeply", "truly", "remarkably", "thoroughly", "really", "extremely")
WEAKER = ("slightly", "somewhat", "fairly", "a little", "mildly", "rather", "a bit")
PROTAGONISTS = groups(
    """retired sailor, young widow, village priest, night nurse, failed boxer, border guard,
    piano teacher, taxi driver, travelling salesman, lighthouse keeper, small-town sheriff,
    runaway bride, chess player, customs officer, famous surgeon, orphaned twin, circus acrobat"""
)
DEEDS = groups(
    """returns to a small harbour, inherits an old farm, crosses the country by bus,
    looks for a lost brother, moves to the capital, witnesses a robbery, opens a bakery,
    writes letters to a stranger, prepares for a trial, meets a former rival, learns to sail,
    spends a winter in the mountains, takes a job at a hotel, adopts a stray dog"""
)
PURCHASES = groups(
    """I bought this for my sister in March, It came in a plain brown box, I ordered the blue one,
    We use it two or three times a week, This is my second one, It replaced an older model,
    I keep it in the garage, My neighbour has the same one, It arrived on a Tuesday,
    I have owned it for about six months, It was a gift from my uncle, I read other reviews first"""
)

# Questions.

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

# Scenes.

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
