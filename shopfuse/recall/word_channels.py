"""The channels that compare words: BM25, how many of the query's words an item holds, and brands that it names."""

from __future__ import annotations

import numpy as np

from shopfuse.recall.contents import Items
from shopfuse.recall.indexes import Column, IndexFile, RecallChannel, Scored
from shopfuse.recall.lexical import LexicalIndex, build_lexical
from shopfuse.recall.query import WORDS

LEXICAL_INDEX = IndexFile(
    "lexical",
    lambda layout, shop: build_lexical(layout.lexical, Items(shop.items), *shop.languages),
    lambda layout: LexicalIndex.open(layout.lexical),
)


def _coverage(scored: Scored) -> Column:
    """An item of the category that is meant covers the query in other words."""
    held = scored.indexes[LEXICAL_INDEX].coverage(scored.query.query, scored.rows, scored.query.as_typed)
    category = scored["category"]
    return held if category is None else np.maximum(held, category)


def _brand(scored: Scored) -> Column | None:
    brands = scored.indexes[LEXICAL_INDEX].read(scored.query.query, scored.query.as_typed).brands
    return scored.indexes.items.made_by(brands, scored.rows).astype(np.float32) if brands else None


LEXICAL = RecallChannel(
    LEXICAL_INDEX,
    needs=(WORDS,),
    score=lambda scored: scored.indexes[LEXICAL_INDEX].score(scored.query.query, scored.rows, scored.query.as_typed),
    search=lambda indexes, query, k, selection: indexes[LEXICAL_INDEX].search(
        query.query, k, selection, query.as_typed
    ),
)
COVERAGE = RecallChannel(LEXICAL_INDEX, needs=(WORDS,), score=_coverage)
BRAND = RecallChannel(LEXICAL_INDEX, needs=(WORDS,), score=_brand)
