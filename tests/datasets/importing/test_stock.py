"""Whether an item can be bought, in the words of many shops."""

from decimal import Decimal

import pytest

from shopfuse.datasets.importing.values.field_values import BadValueError
from shopfuse.datasets.importing.values.stock import as_available

BUYABLE = [
    True,
    17,
    1.0,
    Decimal(3),
    "17",
    "17.0",
    ">10",
    "10+",
    "in stock",
    "In_Stock",
    "instock",
    "onbackorder",
    "preorder",
]
BUYABLE += [
    "https://schema.org/InStock",
    "http://schema.org/PreOrder",
    "schema:BackOrder",
    "yes",
    "ja",
    "Verf\u00fcgbar",
]
BUYABLE += [
    "auf Lager",
    "En stock",
    "Disponible",
    "disponibile",
    "dost\u0119pny",
    "\u5728\u5eab\u3042\u308a",
    "3 left",
    "",
    None,
]
GONE = [
    False,
    0,
    -2,
    0.0,
    float("nan"),
    "0",
    "0.0",
    "-3",
    "out of stock",
    "OutOfStock",
    "sold out",
    "https://schema.org/SoldOut",
]
GONE += [
    "http://schema.org/Discontinued",
    "no",
    "nein",
    "ausverkauft",
    "nicht verf\u00fcgbar",
    "Rupture de stock",
    "agotado",
]
GONE += ["esaurito", "uitverkocht", "brak w magazynie", "\u54c1\u5207\u308c", "0 left"]


@pytest.mark.parametrize("value", BUYABLE)
def test_words_counts_and_addresses_that_say_it_can_be_bought(value: object) -> None:
    assert as_available(value) is True


@pytest.mark.parametrize("value", GONE)
def test_words_counts_and_addresses_that_say_it_cannot(value: object) -> None:
    assert as_available(value) is False


@pytest.mark.parametrize("value", ["perhaps", "1.5", "schema.org", ["in stock"], "https://example.org/InStock/x"])
def test_what_says_neither_is_refused(value: object) -> None:
    with pytest.raises(BadValueError):
        as_available(value)
