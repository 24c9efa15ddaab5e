"""The catalogue's words: titles and descriptions from a small grammar.

They tell category, brand, material, features and use, mostly in other words than queries.py; they leave out how a
product looks, except for the few items whose text names the colour. Variants of a product have its text, and colour and
size at the end of the title.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.datasets.demo_shop.world.appearance import COLOUR_NAMES, COLOURS, PATTERN_NAMES, PATTERNS
from shopfuse.datasets.demo_shop.world.items import FEATURE_NAMES, MATERIAL_NAMES, NO_SIZE, USE_NAMES
from shopfuse.datasets.demo_shop.world.seeds import stream
from shopfuse.datasets.demo_shop.world.variants import sizes_of
from shopfuse.datasets.demo_shop.world.vocabulary import FEATURES, MATERIALS, MODEL_NAMES, USES
from shopfuse.datasets.demo_shop.world.world import DemoShop

_CHUNK = 65_536
_OPENINGS = (
    "{Noun}: {told}.",
    "Meet the {model}: {told}.",
    "{Told}: that is the idea behind the {model}.",
    "The {model} keeps a simple promise. {Told}.",
    "{Noun} the way we like it: {told}.",
    "Our {noun} {model}: {told}.",
)
_QUALITIES = (
    "{Told}.",
    "What people like most: {told}.",
    "Good to know: {told}.",
    "In short, {told}.",
    "On top of that, {told}.",
    "Tested for a year; {told}.",
)
_OCCASIONS = (
    "{Told}.",
    "{Told}, and not only there.",
    "We had one thing in mind: {told}.",
    "A tip from our team: {told}.",
)
_CLOSINGS = (
    "",
    "",
    "Designed in our own studio.",
    "Comes with a two-year guarantee.",
    "Free returns within 30 days.",
    "Packed without plastic.",
    "Spare parts are available.",
    "Made in small batches.",
    "Care instructions are in the box.",
)
_COLOURED = ("Shown here in {colour}.", "This is the {colour} one.", "Colour: {colour}.")


def _capitalised(words: str) -> str:
    return words[:1].upper() + words[1:]


def _sentence(template: str, told: str, noun: str = "", model: str = "") -> str:
    return template.format(told=told, Told=_capitalised(told), noun=noun, Noun=_capitalised(noun), model=model)


def _pick(options: tuple[str, ...], draw: float) -> str:
    return options[int(draw * len(options))]


def _title(noun: str, brand: str | None, model: str, feature: str, material: str, draws: NDArray[np.float64]) -> str:
    """Brand and model, then the noun with a feature, a material, both or neither."""
    adjective = feature if draws[0] < 0.5 else ""
    stuff = material if draws[1] < 0.7 else ""
    name = f"{brand} {model}" if brand else model
    if draws[2] < 0.5:
        words = [name, adjective, stuff, noun]
    elif draws[2] < 0.8:
        words = [name, adjective, noun, f"in {stuff}" if stuff else ""]
    else:
        words = [adjective, stuff, noun, name]
    return _capitalised(" ".join(word for word in words if word))


def _described(shop: DemoShop, item: int, noun: str, model: str, draws: NDArray[np.float64]) -> str:
    """Material, second feature and use, in an order of its own; one in eight says less."""
    items = shop.items
    material = MATERIALS[MATERIAL_NAMES[items.material[item]]]
    second = FEATURES[FEATURE_NAMES[items.features[item, 1]]]
    use = USES[USE_NAMES[items.use[item]]]
    sentences = [
        _sentence(_pick(_OPENINGS, draws[0]), _pick(material.told, draws[1]), noun, model),
        _sentence(_pick(_QUALITIES, draws[2]), _pick(second.told, draws[3])),
        _sentence(_pick(_OCCASIONS, draws[4]), _pick(use.told, draws[5])),
    ]
    if draws[6] < 0.125:
        sentences.pop(1 + int(draws[7] < 0.5))
    sentences.append(_pick(_CLOSINGS, draws[8]))
    return " ".join(sentence for sentence in sentences if sentence)


def _item_text(shop: DemoShop, item: int, draws: NDArray[np.float64]) -> tuple[str, str]:
    """Title and description of one item, of a variant those of its product."""
    items, leaf = shop.items, shop.leaves[shop.items.leaf[item]]
    noun, model = _pick(leaf.nouns, draws[0]), _pick(MODEL_NAMES, draws[1])
    feature = _pick(FEATURES[FEATURE_NAMES[items.features[item, 0]]].written, draws[2])
    material = _pick(MATERIALS[MATERIAL_NAMES[items.material[item]]].written, draws[3])
    title = _title(noun, shop.brands.names[items.brand[item]], model, feature, material, draws[4:7])
    description = _described(shop, item, noun, model, draws[7:16])
    if items.names_colour[item] and items.size[item] == NO_SIZE:
        appearance = _appearance(shop, item, draws[16])
        if draws[17] < 0.5:
            return f"{title}, {appearance}", description
        return title, f"{description} {_pick(_COLOURED, draws[18]).format(colour=appearance)}"
    return title, description


def _appearance(shop: DemoShop, item: int, draw: float) -> str:
    """The colour's name, and the pattern's for half of the patterned items."""
    colour = COLOURS[COLOUR_NAMES[shop.items.colour[item]]][1][0]
    pattern = PATTERN_NAMES[shop.items.pattern[item]]
    return f"{colour} {PATTERNS[pattern][3][0]}" if pattern != "plain" and draw < 0.5 else colour


def _choice(shop: DemoShop, item: int) -> str:
    """What a title says of a variant: colour and size. Nothing of an item that stands alone."""
    if shop.items.size[item] == NO_SIZE:
        return ""
    size = sizes_of(shop.leaves[shop.items.leaf[item]])[shop.items.size[item]]
    return f", {COLOURS[COLOUR_NAMES[shop.items.colour[item]]][1][0]}, {size}"


def item_texts(shop: DemoShop) -> Iterator[pl.DataFrame]:
    """Titles and descriptions of all items, in the order of the item ids, some ten thousand at a time."""
    for chunk, first in enumerate(range(0, len(shop.items), _CHUNK)):
        last = min(first + _CHUNK, len(shop.items))
        draws = stream(shop.seed, "wording", chunk).random((last - first, 19))
        texts = []
        for item in range(first, last):
            if shop.items.product[item] == item:
                title, description = _item_text(shop, item, draws[item - first])
            texts.append((title + _choice(shop, item), description))
        yield pl.DataFrame(texts, schema={"title": pl.String, "description": pl.String}, orient="row")
