"""Prices of one release are in one currency: sorts and filters compare numbers."""

from __future__ import annotations

import numpy as np
import polars as pl

from shopfuse.datasets.schema import ITEM_SCHEMA
from shopfuse.training.data.catalogue import catalogue_items, load_catalogue


def frame(*offers: tuple[float | None, str | None]) -> pl.DataFrame:
    rows = [
        {"item_id": f"i{at}", "title": "lamp", "available": True, "price": price, "currency": currency}
        for at, (price, currency) in enumerate(offers)
    ]
    return pl.DataFrame(rows, ITEM_SCHEMA)


def test_a_price_in_another_currency_is_left_out_and_told() -> None:
    offers = frame((10.0, "EUR"), (11.0, "EUR"), (900.0, "JPY"), (12.0, None), (None, "USD"), (13.0, "USD"))
    catalogue = load_catalogue(offers)

    assert np.isnan(catalogue.price).tolist() == [False, False, True, False, True, True]
    assert [item.price for item in catalogue_items(catalogue.frame)] == [10.0, 11.0, None, 12.0, None, None]
    assert "prices of 2 items left out: in JPY, USD, where most are in EUR" in catalogue.foreign_prices


def test_one_currency_leaves_every_price() -> None:
    catalogue = load_catalogue(frame((10.0, "EUR"), (11.0, None), (None, "USD")))

    assert catalogue.price[:2].tolist() == [10.0, 11.0] and catalogue.foreign_prices == ""
