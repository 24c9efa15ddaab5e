"""A made-up shop in which each kind of thing has several names, of which a title has one, and others that only shoppers
use; the words are of no language."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import polars as pl

from shopfuse.datasets.schema import ITEM_SCHEMA
from shopfuse.training.data.catalogue import Catalogue, load_catalogue

SYLLABLES = ("ka", "mi", "ro", "tu", "ves", "lan", "dor", "pi", "sho", "gren", "bul", "zat")
KINDS, NAMES, USES, SLANG, MAKERS = 15, 3, 6, 5, 12


def made_up_words() -> tuple[list[str], list[list[str]]]:
    """(makers, of each kind its names, what it is used for, and its slang), all different."""
    draw, each = np.random.default_rng(3), NAMES + USES + SLANG
    drawn = ("".join(draw.choice(SYLLABLES, 3)) for _ in range(10 * KINDS * each))
    words = list(dict.fromkeys(drawn))[: MAKERS + KINDS * each]
    return words[:MAKERS], [words[MAKERS + at * each : MAKERS + (at + 1) * each] for at in range(KINDS)]


def items_of_many_names(items: int = 600) -> pl.DataFrame:
    """Rows of ITEM_SCHEMA: a maker, one of the kind's names and something it is used for; the description has more of
    what the kind is used for."""
    draw, rows = np.random.default_rng(3), []
    makers, kinds = made_up_words()
    for at in range(items):
        number = at % KINDS
        names, uses = kinds[number][:NAMES], kinds[number][NAMES : NAMES + USES]
        name, used = draw.choice(names), draw.choice(uses, 3, replace=False)
        rows.append(
            {
                "item_id": f"i{at:04d}",
                "title": f"{draw.choice(makers)} {name} {used[0]}",
                "description": f"{used[1]} {used[2]}",
                "category": [f"kind {chr(65 + number)}"],
                "price": 10.0,
                "currency": "EUR",
                "available": True,
                "attributes": [],
            }
        )
    return pl.DataFrame(rows, ITEM_SCHEMA)


def shop_of_many_names(items: int = 600) -> Catalogue:
    return load_catalogue(items_of_many_names(items), languages=("und",))


def slang_searches(items: int = 600) -> list[tuple[str, int]]:
    """(what was searched, the number of an item that was gone on to): two words of a kind's slang, which no item has.
    `items` is a multiple of KINDS."""
    slang = [words[-SLANG:] for words in made_up_words()[1]]
    searches = [(kind, pair) for kind, words in enumerate(slang) for pair in permutations(words, 2)]
    return [
        (" ".join(pair), (kind + KINDS * (at * 10 + more)) % items)
        for at, (kind, pair) in enumerate(searches)
        for more in range(4)
    ]
