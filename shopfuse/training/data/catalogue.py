"""The catalogue as training sees it: row-aligned arrays, and the values the indexes are built from.

Row n is the n-th item of items.parquet, here as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.ranking.features import text_code
from shopfuse.ranking.item import CATEGORY_SEPARATOR, CatalogueItem
from shopfuse.ranking.languages import DEFAULT_LANGUAGE
from shopfuse.ranking.tensors import ATTRIBUTES
from shopfuse.ranking.text import attribute_ids, item_text
from shopfuse.recall.groups import group_codes


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Arrays over the items [N]. `category` and `parent` are codes of whole paths, 0 where there is none."""

    ids: list[str]
    frame: pl.DataFrame
    attributes: NDArray[np.int64]  # [N, ATTRIBUTES] hashed
    price: NDArray[np.float64]  # NaN where unknown
    published_at: NDArray[np.float64]  # seconds, NaN where unknown
    available: NDArray[np.bool_]
    brand: NDArray[np.int32]
    category: NDArray[np.int32]
    parent: NDArray[np.int32]
    has_image: NDArray[np.bool_]
    group: NDArray[np.int32]  # the lowest row of the item's product group, its own where it stands alone
    languages: tuple[str, ...] = (DEFAULT_LANGUAGE,)  # of titles and queries, the main one first
    foreign_prices: str = ""  # what is told of prices that are left out, being in other currencies

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def language(self) -> str:
        return self.languages[0]

    def rows(self, item_ids: pl.Series) -> NDArray[np.int32]:
        """The rows of items, -1 where an id is unknown or null."""
        known = pl.DataFrame({"item_id": self.ids, "row": np.arange(len(self.ids), dtype=np.int32)})
        joined = pl.DataFrame({"item_id": item_ids}).join(known, on="item_id", how="left", maintain_order="left")
        rows: NDArray[np.int32] = joined["row"].fill_null(-1).to_numpy().astype(np.int32)
        return rows

    def texts(self) -> list[str]:
        """What the text encoder reads of each item."""
        columns = (self.frame[name].to_list() for name in ("title", "brand", "category", "description"))
        return [item_text(*row) for row in zip(*columns, strict=True)]


def load_catalogue(
    items: pl.DataFrame, with_image: pl.Series | None = None, languages: Sequence[str] = ()
) -> Catalogue:
    """The catalogue of a sorted ITEM_SCHEMA frame; `with_image` lists the ids of the items that have an image. Where no
    language is said, nor was recognised yet, it counts as English."""
    items, foreign_prices = in_one_currency(items)
    paths = [tuple(path or ()) for path in items["category"].to_list()]
    return Catalogue(
        ids=items["item_id"].to_list(),
        frame=items,
        attributes=_attributes(items),
        price=items["price"].cast(pl.Float64).fill_null(np.nan).to_numpy().copy(),
        published_at=_seconds(items["published_at"]),
        available=items["available"].to_numpy().astype(np.bool_),
        brand=np.array([text_code(brand or "") for brand in items["brand"].to_list()], np.int32),
        category=np.array([text_code(CATEGORY_SEPARATOR.join(path)) for path in paths], np.int32),
        parent=np.array([text_code(CATEGORY_SEPARATOR.join(path[:-1])) for path in paths], np.int32),
        has_image=_members(items["item_id"], with_image),
        group=group_codes(items["group_id"].to_list()),
        languages=tuple(languages) or (DEFAULT_LANGUAGE,),
        foreign_prices=foreign_prices,
    )


def in_one_currency(items: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """The items without prices in other currencies than most prices are in, and what is told of those: prices are
    sorted, filtered and compared as numbers. One that says no currency is in the shop's."""
    priced = items.filter(pl.col("price").is_not_null() & pl.col("currency").is_not_null())
    counts = priced.group_by("currency").len().sort("len", "currency", descending=[True, False])
    if len(counts) < 2:
        return items, ""
    main, *others = counts["currency"].to_list()
    foreign = pl.col("currency").is_in(others)
    told = (
        f"prices of {counts['len'][1:].sum()} items left out: in {', '.join(others)}, where most are in {main}; "
        "prices of one release are in one currency"
    )
    return items.with_columns(price=pl.when(foreign).then(None).otherwise(pl.col("price"))), told


def catalogue_items(items: pl.DataFrame) -> Iterator[CatalogueItem]:
    """The rows of an ITEM_SCHEMA frame, in order."""
    published = _seconds(items["published_at"])
    for row, at in zip(items.iter_rows(named=True), published.tolist(), strict=True):
        yield CatalogueItem(
            item_id=row["item_id"],
            title=row["title"],
            description=row["description"] or "",
            brand=row["brand"],
            category=tuple(row["category"] or ()),
            price=row["price"],
            currency=row["currency"],
            attributes=_pairs(row["attributes"]),
            image_uri=row["image_uri"],
            available=row["available"],
            published_at=None if np.isnan(at) else at,
            group_id=row["group_id"],
            gtin=row["gtin"],
            mpn=row["mpn"],
            sku=row["sku"],
            other_categories=tuple(map(tuple, row["other_categories"] or ())),
        )


def _pairs(attributes: list[dict[str, str]] | None) -> tuple[tuple[str, str], ...]:
    return tuple((pair["name"], pair["value"]) for pair in attributes or ())


def _attributes(items: pl.DataFrame) -> NDArray[np.int64]:
    columns = (items[name].to_list() for name in ("brand", "category", "attributes"))
    rows = [attribute_ids(brand, path or (), _pairs(pairs)) for brand, path, pairs in zip(*columns, strict=True)]
    return np.array(rows, np.int64).reshape(len(items), ATTRIBUTES)


def _seconds(times: pl.Series) -> NDArray[np.float64]:
    micros = times.dt.epoch("us").cast(pl.Float64)
    return (micros / 1e6).fill_null(np.nan).to_numpy().copy()


def _members(ids: pl.Series, chosen: pl.Series | None) -> NDArray[np.bool_]:
    if chosen is None:
        return np.zeros(len(ids), np.bool_)
    members: NDArray[np.bool_] = ids.is_in(chosen.implode()).to_numpy().astype(np.bool_)
    return members
