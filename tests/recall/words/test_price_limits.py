"""Prices that a query names, in several languages, and numbers that are no prices."""

from __future__ import annotations

import pytest

from shopfuse.recall.words.price_limits import PriceLimits, price_limits


@pytest.mark.parametrize(
    ("query", "text", "low", "high"),
    [
        ("kettle under 40", "kettle", None, 40.0),
        ("kettle below $1,299.99 steel", "kettle steel", None, 1299.99),
        ("teapot less than 1.500 euro", "teapot", None, 1500.0),
        ("teapot up to 55 €", "teapot", None, 55.0),
        ("rucksack unter 30 €", "rucksack", None, 30.0),
        ("rucksack bis 49,90 euro", "rucksack", None, 49.9),
        ("rucksack ab 20 €", "rucksack", 20.0, None),
        ("sac moins de 20", "sac", None, 20.0),
        ("mochila menos de 35", "mochila", None, 35.0),
        ("chairs from 20 to 40", "chairs", 20.0, 40.0),
        ("chairs between 40 and 20", "chairs", 20.0, 40.0),
        ("chairs 20-40 euro", "chairs", 20.0, 40.0),
        ("stühle zwischen 20 und 40 euro", "stühle", 20.0, 40.0),
        ("desk over 100 dollars", "desk", 100.0, None),
        ("desk over £100 under £200", "desk", 100.0, 200.0),
    ],
)
def test_prices_leave_the_words(query: str, text: str, low: float | None, high: float | None) -> None:
    assert price_limits(query) == PriceLimits(text, low, high)


@pytest.mark.parametrize(
    "query",
    [
        "monitor under 27 inch",
        'monitor stand up to 27"',
        "games under 3 years",
        "drill over 18v",
        "bottle under 1l",
        "under armour 50",
        "air max 90",
        "jeans 32-34",
        "boards from 20 mm to 40 mm",
        "von 20 bis 40 mm",
        "1000 piece puzzle",
        "mug under 0",
    ],
)
def test_sizes_ages_and_names_are_no_prices(query: str) -> None:
    assert price_limits(query) == PriceLimits(query)
