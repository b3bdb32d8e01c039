"""Sentiment: opinions have a score, and a sentence's class is the score of the whole."""

from __future__ import annotations

from collections.abc import Sequence

from model.data.examples import Example
from model.grammar.dice import Dice
from model.grammar.english import Group, groups, sentence, with_article

CLASS_SHARES = (0.18, 0.22, 0.2, 0.22, 0.18)
STAR_SHARES = (0.02, 0.02, 0.07, 0.21, 0.68)
THRESHOLDS = (-1.4, -0.4, 0.4, 1.4)
LABEL_NOISE = 0.03
# By an adjective's score: "not dull" says less than "charming", "not superb" less than "awful".
NEGATED = {-2: 0.5, -1: 0.7, 0: 0.0, 1: -1.0, 2: -0.7}

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


def _class_of(score: float) -> int:
    return sum(score > threshold for threshold in THRESHOLDS)


def _adjective(dice: Dice, score: int) -> str:
    return dice.pick(dice.pick(JUDGEMENTS[score + 2]))


def _judgement(dice: Dice) -> tuple[str, float]:
    """The words that follow "is" in a judgement, and their score."""
    score = dice.pick((-2, -1, -1, 0, 1, 1, 2))
    adjective = _adjective(dice, score)
    form = dice.weighted((0.3, 0.2, 0.15, 0.2, 0.08, 0.07))
    if form == 1:
        return f"{dice.pick(STRONGER)} {adjective}", 1.5 * score
    if form == 2:
        return f"{dice.pick(WEAKER)} {adjective}", 0.6 * score
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


def critique(dice: Dice) -> Example:
    """A sentence on a film and its class."""
    target = dice.weighted(CLASS_SHARES)
    while True:
        text, score = _film_sentence(dice)
        if _class_of(score) == target:
            break
    if dice.chance(LABEL_NOISE):
        target = min(4, max(0, target + dice.pick((-1, 1))))
    return Example(sentence(text, "."), None, float(target))


def _film_sentence(dice: Dice) -> tuple[str, float]:
    work = dice.pick(dice.pick(WORKS))
    form = dice.weighted((0.3, 0.17, 0.1, 0.1, 0.15, 0.08, 0.1))
    if form == 6:
        hero, deed = dice.pick(dice.pick(PROTAGONISTS)), dice.pick(dice.pick(DEEDS))
        return f"the {work} follows {with_article(hero)} who {deed}", 0.0
    if form == 5:
        expected, found = dice.pick((-2, -1, 1, 2)), dice.pick((-2, -1, 1, 2))
        hoped = f"I expected something {_adjective(dice, expected)}"
        return f"{hoped}, but this {work} is {_adjective(dice, found)}", 1.0 * found
    first, first_score = _opinion(dice, ASPECTS, WORKS)
    if form == 0:
        return f"{dice.pick(('on the whole, ', 'in the end, ', ''))}{first}", first_score
    second, second_score = _opinion(dice, ASPECTS, WORKS)
    if form == 4:
        return f"{first} and {second}", 0.6 * (first_score + second_score)
    # What is conceded counts less than what it is set against.
    score = 0.25 * first_score + 0.9 * second_score
    if form == 1:
        return f"{first} but {second}", score
    return (f"although {first}, {second}" if form == 2 else f"{second}, even though {first}"), score


def review(dice: Dice) -> Example:
    """A longer text on a product and its stars, as a class; most have the most."""
    target = dice.weighted(STAR_SHARES)
    clauses = [f"{dice.pick(dice.pick(PURCHASES))}."]
    for _ in range(dice.pick((2, 3, 4, 5))):
        while True:
            clause, score = _opinion(dice, PRODUCT_ASPECTS, PRODUCTS)
            if abs(_class_of(score) - target) <= 1:
                break
        clauses.insert(dice.pick(range(len(clauses) + 1)), sentence(clause, "."))
    return Example(" ".join(clauses), None, float(target))
