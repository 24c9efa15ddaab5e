"""Rows that only together say what an item is: products and their variants, as shop systems export them.

A mapping's `[rows]` says how rows belong together: rows of one `product` value follow each other (Shopify), a variant
names its `parent` (WooCommerce), or a product lists its `children` (Magento). A variant takes what it leaves empty from
its product, for the fields that it may `inherit`. Rows that are no item are passed over, and counted.

Fields that are made here: `@variant` is the row's own name, `@product` that of its product, `@options` what it is
chosen by.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from shopfuse.datasets.importing.source_rows import NumberedRow, Row, RowProblem

VARIANT, PRODUCT, OPTIONS = "@variant", "@product", "@options"
ANY: Final = "*"
_NO_OPTION: Final = "Default Title"  # what Shopify writes of a product that has none

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RowRules:
    """The table `[rows]` of a mapping; empty where rows stand for themselves. All are names of fields."""

    product: str = ""  # rows of the same value, one after the other, are one product
    parent: str = ""  # names the product, by one of its `names`
    children: str = ""  # lists the variants: sku=A,size=S|sku=B,size=M
    names: tuple[str, ...] = ()  # the first that is filled names the row
    options: Mapping[str, str] = field(default_factory=dict)  # field of an option's name -> field of its value
    inherit: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()  # a row in which none of them is filled is no item, but another picture of it
    skip: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # field -> values of rows that are no item
    pairs: tuple[str, ...] = ()  # fields that hold a=b,c=d
    first_only: bool = False  # a product is one item, that of its first row

    @property
    def looks_ahead(self) -> bool:
        """Whether a row can need one that comes later."""
        return bool(self.parent or self.children)


NO_RULES: Final = RowRules()


def variant_rows(
    rows: Callable[[], Iterator[NumberedRow]], rules: RowRules, scratch: Path, note: Note
) -> Iterator[NumberedRow]:
    """The rows that are items, complete. Reads the file twice where rules look ahead; products then lie on disk."""
    if not rules.looks_ahead:
        yield from _kept(_following(rows(), rules, note), rules, note)
        return
    path = scratch / "products.sqlite"
    path.unlink(missing_ok=True)
    index = sqlite3.connect(path, isolation_level=None)
    try:
        _index(index, rows(), rules)
        yield from _kept(_linked(index, rows(), rules), rules, note)
    finally:
        index.close()
        path.unlink(missing_ok=True)


def _kept(rows: Iterator[NumberedRow], rules: RowRules, note: Note) -> Iterator[NumberedRow]:
    """Without the rows that are no item."""
    for number, row in rows:
        if isinstance(row, RowProblem):
            yield number, row
            continue
        if rules.needs and not any(_filled(row, name) for name in rules.needs):
            note(f"row is no item of its own: it has none of {', '.join(rules.needs)}")
            continue
        reason = next((name for name, values in rules.skip.items() if _is_one_of(_filled(row, name), values)), None)
        if reason is not None:
            note(f"row is no item to sell: {reason} is {_filled(row, reason)}")
            continue
        for name in rules.pairs:
            row[name] = _pairs(_filled(row, name))
        options = {
            _filled(row, name): value
            for name, held in rules.options.items()
            if (value := _filled(row, held)) and value != _NO_OPTION and _filled(row, name)
        }
        row[OPTIONS] = options
        row[VARIANT] = _name(row, rules) or "-".join([_filled(row, rules.product), *options.values()]).strip("-")
        yield number, row


def _following(rows: Iterator[NumberedRow], rules: RowRules, note: Note) -> Iterator[NumberedRow]:
    """Rows of one product, which take from its first row what they leave empty."""
    first: Row = {}
    for number, row in rows:
        if isinstance(row, dict) and rules.product:
            product = _filled(row, rules.product)
            if first and product and product == _filled(first, rules.product):
                if rules.first_only:
                    note("row is a variant of an item that is imported as a product")
                    continue
                _inherit(row, first, rules)
            else:
                first = dict(row)
            row[PRODUCT] = product or None
        yield number, row


def _index(index: sqlite3.Connection, rows: Iterator[NumberedRow], rules: RowRules) -> None:
    """Write down what each product gives to its variants: by its names, or by those that it lists."""
    index.execute("PRAGMA synchronous = off")
    index.execute("CREATE TABLE product (name TEXT PRIMARY KEY, gives TEXT) WITHOUT ROWID")
    index.execute("BEGIN")
    for _, row in rows:
        if isinstance(row, RowProblem) or (rules.parent and _filled(row, rules.parent)):
            continue
        gives = json.dumps({name: _filled(row, name) for name in rules.inherit} | {PRODUCT: _name(row, rules)})
        for name in _names_of(row, rules):
            index.execute("INSERT OR IGNORE INTO product VALUES (?, ?)", (name, gives))
    index.execute("COMMIT")


def _names_of(row: Row, rules: RowRules) -> list[str]:
    """What variants call their product, or are called by it."""
    if rules.children:
        variants = (_pairs(part) for part in _filled(row, rules.children).split("|"))
        return [name for variant in variants if (name := next(iter(variant.values()), ""))]
    names = [(name, _filled(row, name)) for name in rules.names]
    return [text for name, text in names if text] + [f"id:{text}" for name, text in names if text and name == "ID"]


def _linked(index: sqlite3.Connection, rows: Iterator[NumberedRow], rules: RowRules) -> Iterator[NumberedRow]:
    """Rows with what their product gives them, wherever in the file it stands."""
    for number, row in rows:
        if isinstance(row, dict):
            called = _filled(row, rules.parent) if rules.parent else _name(row, rules)
            found = index.execute("SELECT gives FROM product WHERE name = ?", (called,)).fetchone() if called else None
            gives: Row = json.loads(found[0]) if found else {}
            _inherit(row, gives, rules)
            row[PRODUCT] = gives.get(PRODUCT) or (called if rules.parent else None) or None
        yield number, row


def _inherit(row: Row, product: Row, rules: RowRules) -> None:
    for name in rules.inherit:
        if not _filled(row, name) and product.get(name) not in (None, ""):
            row[name] = product[name]


def _name(row: Row, rules: RowRules) -> str:
    return next((text for name in rules.names if (text := _filled(row, name))), "")


def _filled(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value).strip()


def _is_one_of(value: str, values: tuple[str, ...]) -> bool:
    return bool(value) and (ANY in values or value.casefold() in values)


def _pairs(text: str) -> dict[str, str]:
    """`a=b,c=d` as an object; a part without a name belongs to the value before it."""
    pairs: dict[str, str] = {}
    name = ""
    for part in text.split(","):
        if "=" in part:
            name, _, value = part.partition("=")
            name = name.strip()
            pairs[name] = value.strip()
        elif name:
            pairs[name] += f",{part}"
    return pairs
