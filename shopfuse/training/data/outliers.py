"""Events that no ordinary trade makes: test orders, bulk orders, moments far from all others."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

import polars as pl

from shopfuse.training.data.findings import Finding, nothing, these_events
from shopfuse.training.data.robust_bounds import largest_ordinary

MARGIN_DAYS = 30
_TAIL = 0.001  # share of events at either end of the log that may lie further out
LEAST_PRICE_RATIO = 10.0  # a price may always be so many times the item's usual one, or so small a part of it
LEAST_QUANTITY = 100.0  # a line of an order may always hold so many


def stray_moments(events: pl.DataFrame) -> Finding:
    """Events long before or after nearly all others: they would shift every split by time."""
    if events.is_empty():
        return nothing(events)
    moments = events["timestamp"]
    low, high = usual_period(moments)
    return these_events(events, (moments < low) | (moments > high), f"from {low:%Y-%m-%d} to {high:%Y-%m-%d}")


def usual_period(moments: pl.Series) -> tuple[datetime, datetime]:
    """The time in which nearly all of these moments lie, with a margin on both sides."""
    first, last = moments.quantile(_TAIL, "higher"), moments.quantile(1 - _TAIL, "lower")
    margin = timedelta(days=MARGIN_DAYS)
    return cast(datetime, first) - margin, cast(datetime, last) + margin


def odd_prices(events: pl.DataFrame) -> Finding:
    """Carts and purchases at a price that is nothing like the item's usual one."""
    usual = pl.col("price").filter(pl.col("price") > 0).median().over("item_id")
    ratios = events.select(
        pl.when(pl.col("price") > 0).then((pl.col("price") / usual).log().abs()).otherwise(float("inf")).alias("ratio"),
        pl.col("price").is_not_null().alias("priced"),
    )
    known = ratios.filter(pl.col("priced") & pl.col("ratio").is_finite())["ratio"]
    bound = largest_ordinary(known.exp() - 1.0, LEAST_PRICE_RATIO - 1.0) + 1.0
    odd = ratios.select((pl.col("priced") & (pl.col("ratio").exp() > bound)).alias("odd"))["odd"]
    return these_events(events, odd, f"a price above 0 and within {bound:.3g} times the item's usual one")


def odd_quantities(events: pl.DataFrame) -> Finding:
    """Carts and purchases of more pieces than shoppers take."""
    known = events["quantity"].drop_nulls()
    bound = largest_ordinary(known.filter(known > 0), LEAST_QUANTITY)
    odd = (events["quantity"] > bound) | (events["quantity"] <= 0)
    return these_events(events, odd, f"1 to {bound:.4g} pieces")
