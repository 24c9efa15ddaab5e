"""The demo shop's items as the rows of items.parquet."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from shopfuse.datasets.demo_shop.catalogue.wording import item_texts
from shopfuse.datasets.demo_shop.world.appearance import COLOUR_NAMES
from shopfuse.datasets.demo_shop.world.items import FEATURE_NAMES, MATERIAL_NAMES, NO_SIZE, USE_NAMES
from shopfuse.datasets.demo_shop.world.seeds import stream
from shopfuse.datasets.demo_shop.world.variants import sizes_of
from shopfuse.datasets.demo_shop.world.world import DemoShop
from shopfuse.datasets.schema import ATTRIBUTE, ITEM_SCHEMA

_SIZES = {
    "Fashion": ("XS", "S", "M", "L", "XL"),
    "Home": ("small", "medium", "large"),
    "Sport": ("S", "M", "L"),
    "Electronics": ("compact", "standard", "plus"),
}
_LISTED = {"material": 0.85, "feature": 0.9, "use": 0.3, "size": 0.8}  # share of the items that list the attribute
_ATTRIBUTE_DRAWS = 2**31  # a part of the wording stream that no chunk of texts reaches


def item_ids(count: int) -> pl.Series:
    """Ids of fixed width, so that their byte order is the order of the simulation's rows."""
    width = max(6, len(str(count)))
    return pl.Series("item_id", [f"item-{number:0{width}d}" for number in range(count)])


def item_rows(shop: DemoShop) -> pl.DataFrame:
    """All items in ITEM_SCHEMA, sorted by item_id."""
    items = shop.items
    texts = pl.concat(item_texts(shop))
    start = shop.period.start_of(0)
    published_us = (items.published_day.astype(np.float64) * 86_400).astype(np.int64) * 1_000_000
    frame = pl.DataFrame(
        {
            "item_id": item_ids(len(items)),
            "title": texts["title"],
            "description": texts["description"],
            "brand": pl.Series(shop.brands.names, dtype=pl.String).gather(items.brand),
            "category": pl.Series([leaf.path for leaf in shop.leaves]).gather(items.leaf),
            "price": items.price,
            "currency": pl.repeat("EUR", len(items), eager=True),
            "attributes": _attributes(shop),
            "image_uri": pl.repeat(None, len(items), dtype=pl.String, eager=True),
            "available": items.available,
            "published_at": pl.Series(published_us).cast(pl.Duration("us")) + (start - timedelta()),
        }
        | {"group_id": _group_ids(shop)}
        | dict.fromkeys(("other_categories", "gtin", "mpn", "sku"))
    )
    return frame.select(pl.col(name).cast(kind) for name, kind in ITEM_SCHEMA.items())


def _attributes(shop: DemoShop) -> pl.Series:
    """The listed attributes of each item; colour only where the text names it too."""
    items = shop.items
    rng = stream(shop.seed, "wording", _ATTRIBUTE_DRAWS)
    listed = {name: rng.random(len(items)) < share for name, share in _LISTED.items()}
    columns = [
        ("material", pl.Series(MATERIAL_NAMES).gather(items.material), listed["material"]),
        ("feature", pl.Series(FEATURE_NAMES).gather(items.features[:, 0]), listed["feature"]),
        ("feature", pl.Series(FEATURE_NAMES).gather(items.features[:, 1]), listed["feature"]),
        ("suited for", pl.Series(USE_NAMES).gather(items.use), listed["use"]),
        ("size", _sizes(rng, shop), listed["size"] | (items.size != NO_SIZE)),
        ("colour", pl.Series(COLOUR_NAMES).gather(items.colour), items.names_colour),
    ]
    pairs = [
        pl.when(pl.Series(present)).then(pl.struct(pl.lit(name).alias("name"), value.alias("value")))
        for name, value, present in columns
    ]
    lists = pl.concat_list(pairs).list.drop_nulls().cast(pl.List(ATTRIBUTE)).alias("attributes")
    return pl.select(lists).to_series()


def _sizes(rng: np.random.Generator, shop: DemoShop) -> pl.Series:
    """A variant's own size; else one of those of the item's department."""
    names = [_SIZES[leaf.department] for leaf in shop.leaves]
    draws = rng.random(len(shop.items)).tolist()
    leaves = shop.items.leaf.tolist()
    alone = [names[leaf][int(draw * len(names[leaf]))] for leaf, draw in zip(leaves, draws, strict=True)]
    variants = [sizes_of(leaf) for leaf in shop.leaves]
    own = zip(leaves, shop.items.size.tolist(), alone, strict=True)
    return pl.Series([drawn if size == NO_SIZE else variants[leaf][size] for leaf, size, drawn in own])


def _group_ids(shop: DemoShop) -> pl.Series:
    """The product of each variant; null of an item that stands alone."""
    products = pl.select(
        pl.format("product-{}", pl.Series(shop.items.product).cast(pl.String).str.zfill(6))
    ).to_series()
    return pl.select(pl.when(pl.Series(shop.items.size != NO_SIZE)).then(products)).to_series()
