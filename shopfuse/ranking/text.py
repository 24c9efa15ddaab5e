"""Text as the models and indexes see it: normalised queries, and one text for each item.

Lengths are counted in code points and capped before normalising: NFC over a flood of combining marks is quadratic.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.features import text_code
from shopfuse.ranking.tensors import ATTRIBUTE_BUCKETS, ATTRIBUTES

MAX_QUERY = 512
MAX_MARKS = 2  # combining marks kept after one letter
DESCRIPTION_WORDS = 40

_SPACE = re.compile(r"\s+")
_FRACTION = re.compile("(?<=[0-9])(?=[\u00bc-\u00be\u2150-\u215e])")


def _visible(text: str) -> str:
    """Without control characters, and with at most MAX_MARKS combining marks in a row."""
    kept: list[str] = []
    marks = 0
    for char in text:
        category = unicodedata.category(char)
        marks = marks + 1 if category[0] == "M" else 0
        if marks <= MAX_MARKS:
            kept.append(" " if category[0] == "C" else char)
    return "".join(kept)


def separate_fractions(text: str) -> str:
    """With a space between a number and a fraction of one character, which NFKC writes as 1/2: 1 1/2, not 11/2."""
    return _FRACTION.sub(" ", text)


def normalise_text(text: str, limit: int) -> str:
    """NFKC text of at most `limit` code points on one line, without control characters."""
    text = unicodedata.normalize("NFKC", separate_fractions(_visible(text[:limit])))
    return _SPACE.sub(" ", text[:limit]).strip()


def normalise_query(query: str) -> str:
    """The query as every stage sees it; may be empty, e.g. for control characters alone."""
    return normalise_text(query, MAX_QUERY)


def searchable(query: str) -> bool:
    """True where the query holds a letter or a digit of any script."""
    return any(char.isalnum() for char in query)


def item_text(title: str, brand: str | None, category: Sequence[str], description: str) -> str:
    """The text that the text encoder sees of an item; the most telling parts come first."""
    lead = title if not brand or brand.casefold() in title.casefold() else f"{brand} {title}"
    parts = [lead, category[-1] if category else "", " ".join(description.split()[:DESCRIPTION_WORDS])]
    return ". ".join(part for part in parts if part)


def attribute_ids(
    brand: str | None, category: Sequence[str], attributes: Sequence[tuple[str, str]]
) -> NDArray[np.int64]:
    """Hashed ids [ATTRIBUTES] of brand, category path and attributes in that order; 0 pads."""
    names = [f"brand={brand}"] if brand else []
    names += [f"category={' > '.join(category[: depth + 1])}" for depth in range(len(category))]
    names += [f"{name}={value}" for name, value in attributes]
    ids = np.zeros(ATTRIBUTES, dtype=np.int64)
    for slot, name in enumerate(names[:ATTRIBUTES]):
        ids[slot] = 1 + text_code(name) % (ATTRIBUTE_BUCKETS - 1)
    return ids
