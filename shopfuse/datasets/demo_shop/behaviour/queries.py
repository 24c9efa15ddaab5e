"""What shoppers type: one to a few words for an intent, in their own words and now and then misspelled."""

from __future__ import annotations

import numpy as np

from shopfuse.datasets.demo_shop.behaviour.intents import UNSAID, Intents
from shopfuse.datasets.demo_shop.world.appearance import COLOUR_NAMES, COLOURS, PATTERN_NAMES, PATTERNS
from shopfuse.datasets.demo_shop.world.categories import GROUP_QUERIED_AS
from shopfuse.datasets.demo_shop.world.items import FEATURE_NAMES, MATERIAL_NAMES, USE_NAMES
from shopfuse.datasets.demo_shop.world.vocabulary import FEATURES, MATERIALS, USES, Term
from shopfuse.datasets.demo_shop.world.world import DemoShop

_MISSPELLED = 0.04
_AS_WRITTEN = 0.35  # share of the stated features and materials that use the shop's own word
_USED_FOR = ("for {}", "{}", "for {}")


def _pick(options: tuple[str, ...], draw: float) -> str:
    return options[int(draw * len(options))]


def query_texts(rng: np.random.Generator, shop: DemoShop, intents: Intents) -> list[str]:
    """One query for each intent."""
    draws = rng.random((len(intents), 12))
    return [_query(shop, intents, row, draws[row].tolist()) for row in range(len(intents))]


def _query(shop: DemoShop, intents: Intents, row: int, draws: list[float]) -> str:
    noun = _noun(shop, intents, row, draws[0])
    before = [
        _word(intents.colour[row], [COLOURS[name][1] for name in COLOUR_NAMES], draws[1]),
        _word(intents.pattern[row], [PATTERNS[name][3] for name in PATTERN_NAMES], draws[2]),
        _term(intents.material[row], MATERIAL_NAMES, draws[3:5], MATERIALS),
    ]
    after = ""
    feature = _term(intents.feature[row], FEATURE_NAMES, draws[5:7], FEATURES)
    # Short wishes stand before the noun (waterproof boots), longer ones after it (boots for heavy rain).
    if len(feature.split()) == 1:
        before.append(feature)
    else:
        after = feature
    brand = shop.brands.names[intents.brand[row]] if intents.brand[row] != UNSAID else None
    used = _term(intents.use[row], USE_NAMES, draws[7:9], USES)
    purpose = _pick(_USED_FOR, draws[9]).format(used) if used else ""
    words = " ".join(word for word in (brand, *before, noun, after, purpose) if word).lower()
    return _misspelled(words, draws[11]) if draws[10] < _MISSPELLED else words


def _noun(shop: DemoShop, intents: Intents, row: int, draw: float) -> str:
    leaf = intents.leaf[row]
    if leaf == UNSAID:
        return _pick(GROUP_QUERIED_AS[shop.shelves.group_names[intents.group[row]]], draw)
    return _pick(shop.leaves[leaf].queried_as, draw)


def _word(code: int, options: list[tuple[str, ...]], draw: float) -> str:
    return "" if code == UNSAID else _pick(options[code], draw)


def _term(code: int, names: tuple[str, ...], draws: list[float], terms: dict[str, Term]) -> str:
    if code == UNSAID:
        return ""
    term = terms[names[code]]
    return _pick(term.written if draws[0] < _AS_WRITTEN else term.queried_as, draws[1])


def _misspelled(words: str, draw: float) -> str:
    """Drop, double or swap a letter in the middle of the longest word."""
    word = max(words.split(), key=len)
    if len(word) < 5:
        return words
    at = 1 + int(draw * (len(word) - 3))
    kinds = (word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:])
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return words.replace(word, (*kinds, swapped)[int(draw * 997) % 3], 1)
