"""One item of a catalogue as the indexes and encoders take it: the cleaned values of one row of items.parquet.

Cleaning and validating is the importer's task; readers may rely on it.
"""

from __future__ import annotations

from dataclasses import dataclass

CATEGORY_SEPARATOR = " > "  # between the levels of a category, where it is one text


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """`category` is the path from the root; `published_at` is seconds since the epoch; None is unknown."""

    item_id: str
    title: str
    description: str = ""
    brand: str | None = None
    category: tuple[str, ...] = ()
    price: float | None = None
    currency: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    image_uri: str | None = None
    available: bool = True
    published_at: float | None = None
    group_id: str | None = None  # the product that this is a variant of
    gtin: str | None = None
    mpn: str | None = None
    sku: str | None = None
    other_categories: tuple[tuple[str, ...], ...] = ()  # paths that filters find it under as well
    language: str = ""  # of its texts, where the catalogue has several
    sounds: tuple[str, ...] = ()  # how its words in Chinese characters sound, in katakana; of a Japanese item
