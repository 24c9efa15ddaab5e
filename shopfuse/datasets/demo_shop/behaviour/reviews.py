"""What buyers of the demo shop write: stars from the item's true quality, and a text that fits them more or less.

Three-star reviews weigh good against bad, five-star ones grumble now and then, some buyers mistake the scale or cannot
spell: stars are not to be read off single words. Nothing here touches events or truth.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from shopfuse.datasets.demo_shop.behaviour.event_rows import user_ids
from shopfuse.datasets.demo_shop.behaviour.reactions import DayLog
from shopfuse.datasets.demo_shop.behaviour.review_words import (
    ASPECTS,
    COMPLAINT,
    FACTS,
    JOINTS,
    OVERALL_BAD,
    OVERALL_GOOD,
    OVERALL_MIXED,
    PRAISE,
    STRAIGHT,
    TURNS,
)
from shopfuse.datasets.demo_shop.world.items import FEATURE_NAMES, MATERIAL_NAMES, USE_NAMES
from shopfuse.datasets.demo_shop.world.seeds import stream
from shopfuse.datasets.demo_shop.world.tastes import Rows
from shopfuse.datasets.demo_shop.world.world import DemoShop
from shopfuse.datasets.schema import REVIEW_SCHEMA

_WRITERS = {1: 0.4, 2: 0.35, 3: 0.25, 4: 0.1, 5: 0.08}  # share of the buyers who write, by stars: anger writes more
_QUALITY = 0.7  # how much of a rating the item's quality explains, beside the buyer's mood
_STAR_LIMITS = (-1.18, -0.84, -0.47, 0.18)  # of that sum: below the first 1 star, above the last 5
_PRAISED = {1: 0.07, 2: 0.22, 3: 0.5, 4: 0.8, 5: 0.94}  # share of the judgements that praise, by stars
_STATEMENTS = (1, 1, 2, 2, 3, 4)  # judgements in a review
_SUMMED_UP = 0.55  # share of the reviews with an overall verdict
_SUMMED_UP_OFF = 0.1  # of these, a verdict one step milder or harsher
_STRAIGHT = 0.65  # share of the judgements that are not turned round
_FACT, _TYPO, _LOWER_CASE = 0.4, 0.12, 0.15
_MISTAKEN = 0.03  # share of the buyers who take one star for the best
_MEAN_DAYS = 1.5  # from purchase to review
_OVERALL = (OVERALL_BAD, OVERALL_MIXED, OVERALL_GOOD)


def review_rows(shop: DemoShop, log: DayLog, item_ids: pl.Series) -> pl.DataFrame:
    """The reviews of what was bought on a day, in REVIEW_SCHEMA; what would follow the shop's last day is left out."""
    rng = stream(shop.seed, "reviews", log.requests.day)
    row, slot = np.nonzero(log.bought)
    stars = _stars(rng, shop, log.taken[row, slot])
    writes = rng.random(len(row)) < np.array([_WRITERS[count] for count in stars.tolist()])
    row, slot, stars = row[writes], slot[writes], stars[writes]
    item: Rows = log.taken[row, slot]
    buyers = log.requests.people[log.requests.person[row]]
    texts = [_text(rng, shop, which, count) for which, count in zip(item.tolist(), stars.tolist(), strict=True)]
    ratings = np.where(rng.random(len(stars)) < _MISTAKEN, 6 - stars, stars)
    start, end = shop.period.start_of(log.requests.day), shop.period.start_of(shop.period.days - 1) + timedelta(days=1)
    seconds = log.requests.second[row] + rng.exponential(_MEAN_DAYS, len(row)) * 86_400
    stamp = f"{shop.period.date_of(log.requests.day):%Y%m%d}"
    frame = pl.DataFrame(
        {
            "review_id": [f"w{stamp}-{number:06d}" for number in range(len(row))],
            "item_id": item_ids.gather(item),
            "user_id": user_ids(buyers, len(shop.users)),
            "rating": ratings.astype(np.float32),
            "text": pl.Series(texts, dtype=pl.String),
            "timestamp": [start + timedelta(seconds=int(second)) for second in seconds.tolist()],
        },
        schema=REVIEW_SCHEMA,
    )
    return frame.filter(pl.col("timestamp") < end)


def _stars(rng: np.random.Generator, shop: DemoShop, item: Rows) -> Rows:
    """1 to 5, most of them 5, as reviews in shops are."""
    mood = rng.standard_normal(len(item)) * np.sqrt(1 - _QUALITY**2)
    stars: Rows = 1 + np.searchsorted(_STAR_LIMITS, _QUALITY * shop.items.quality[item] + mood)
    return stars


def _text(rng: np.random.Generator, shop: DemoShop, item: int, stars: int) -> str:
    words = _words(rng, shop, item)
    count = _STATEMENTS[rng.integers(len(_STATEMENTS))]
    subjects = rng.choice(len(ASPECTS), size=count, replace=False)
    praised = rng.random(count) < _PRAISED[stars]
    said = [_judgement(rng, int(subject), bool(good)) for subject, good in zip(subjects, praised, strict=True)]
    text = _joined(rng, said, praised.tolist())
    if rng.random() < _FACT:
        text = f"{_pick(rng, FACTS)}. {_capitalised(text)}"
    if rng.random() < _SUMMED_UP:
        verdict = _verdict(rng, stars)
        text = f"{text}. {verdict}" if rng.random() < 0.6 else f"{verdict}. {_capitalised(text)}"
    text = _capitalised(text.format(**words)) + ("!" if stars in (1, 5) and rng.random() < 0.3 else ".")
    text = _misspelled(rng, text) if rng.random() < _TYPO else text
    return text.lower() if rng.random() < _LOWER_CASE else text


def _words(rng: np.random.Generator, shop: DemoShop, item: int) -> dict[str, str]:
    """What the sentences may name of the item."""
    items = shop.items
    return {
        "noun": _pick(rng, shop.leaves[items.leaf[item]].queried_as),
        "brand": shop.brands.names[items.brand[item]] or "this shop",
        "material": MATERIAL_NAMES[items.material[item]],
        "feature": FEATURE_NAMES[items.features[item, 0]],
        "use": USE_NAMES[items.use[item]],
    }


def _judgement(rng: np.random.Generator, subject: int, good: bool) -> str:
    aspect = ASPECTS[subject]
    sides = (aspect.good, aspect.bad) if good else (aspect.bad, aspect.good)
    word, other = (_pick(rng, side) for side in sides)
    name = _pick(rng, aspect.names)
    turned = PRAISE if good else COMPLAINT
    sentence = _pick(rng, STRAIGHT if rng.random() < _STRAIGHT else turned)
    return sentence.replace("{name}", name).replace("{word}", word).replace("{other}", other)


def _joined(rng: np.random.Generator, said: list[str], praised: list[bool]) -> str:
    text = said[0]
    for place in range(1, len(said)):
        joint = _pick(rng, JOINTS if praised[place] == praised[place - 1] else TURNS)
        starts_sentence = joint.endswith(". ")
        text += joint + (_capitalised(said[place]) if starts_sentence else said[place])
    return text


def _verdict(rng: np.random.Generator, stars: int) -> str:
    """The buyer's summary; now and then one step off."""
    side = 0 if stars <= 2 else 1 if stars == 3 else 2
    if rng.random() < _SUMMED_UP_OFF:
        side = int(np.clip(side + rng.choice((-1, 1)), 0, 2))
    return _pick(rng, _OVERALL[side])


def _misspelled(rng: np.random.Generator, text: str) -> str:
    """Two letters in the wrong order, one missing."""
    at = int(rng.integers(1, max(2, len(text) - 3)))
    swapped = text[:at] + text[at + 1 : at + 2] + text[at] + text[at + 2 :]
    gone = int(rng.integers(0, len(swapped)))
    return swapped[:gone] + swapped[gone + 1 :]


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[rng.integers(len(options))]


def _capitalised(words: str) -> str:
    return words[:1].upper() + words[1:]
