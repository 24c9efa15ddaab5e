"""Rows of a shop's export turned into rows of the catalogue table.

Each row is converted by itself, so that a bad one can be named; texts are cleaned afterwards, a whole batch at once.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Final

import polars as pl

from shopfuse.datasets.importing.category_paths import CategoryPath, category_paths
from shopfuse.datasets.importing.mapping import CatalogueMapping, Source
from shopfuse.datasets.importing.source_rows import Row, RowProblem
from shopfuse.datasets.importing.values.field_values import (
    BadValueError,
    as_item_id,
    as_text,
    as_timestamp,
    getter,
    present,
)
from shopfuse.datasets.importing.values.prices import COMMA_PRICE, OfferReader, PriceColumn
from shopfuse.datasets.importing.values.stock import as_available
from shopfuse.datasets.importing.values.text_cleaning import clean_text, filled, too_long, without_markup
from shopfuse.datasets.schema import (
    ATTRIBUTE,
    ITEM_SCHEMA,
    MAX_ATTRIBUTE_VALUE,
    MAX_ATTRIBUTES,
    MAX_CATEGORY_DEPTH,
    MAX_DESCRIPTION,
    MAX_ID,
    MAX_LABEL,
    MAX_TITLE,
    MAX_URI,
)

_CATEGORIES: Final = ("category", "other_categories")  # read together
_OFFER: Final = ("price", COMMA_PRICE, "currency")  # so are these
_SINGLE: Final = [name for name in ITEM_SCHEMA if name not in ("attributes", *_CATEGORIES, *_OFFER)]
_RAW_SCHEMA: Final = pl.Schema(
    {"row": pl.UInt32()}
    | {name: ITEM_SCHEMA[name] for name in (*_SINGLE, *_CATEGORIES)}
    | {"published_at": pl.Int64(), "price": pl.Float64(), COMMA_PRICE: pl.Float64(), "currency": pl.String()}
)
_ATTRIBUTE_SCHEMA: Final = pl.Schema({"row": pl.UInt32(), "name": pl.String(), "value": pl.String()})
_FIRST_YEAR: Final = 1900
_NEEDED: Final = ("id", "title")
_KEYS: Final = {"item_id": "id", "image_uri": "image"}  # columns whose key in a mapping has another name
_MAX_NESTING: Final = 3

Attributes = list[tuple[str, str]]
Convert = Callable[[Row], Any]


@dataclass(frozen=True, slots=True)
class ItemValues:
    """One item as its row has it: the values of _RAW_SCHEMA after `row`, and its (name, value) attributes."""

    values: tuple[Any, ...]
    attributes: Attributes
    left_out: list[RowProblem]  # values that could not be read, none of which an item needs


@dataclass(frozen=True, slots=True)
class ItemBatch:
    """A batch in the stored form: ITEM_SCHEMA, `row` and COMMA_PRICE."""

    frame: pl.DataFrame
    problems: list[tuple[int, RowProblem]]  # rows that turned out bad when cleaned
    notes: dict[str, int]


class ItemReader:
    """A catalogue mapping made ready to run over rows."""

    def __init__(self, mapping: CatalogueMapping, now: datetime) -> None:
        self.notes: Counter[str] = Counter()
        self._converts = [(_KEYS.get(name, name), _convert(name, mapping, self.notes)) for name in _SINGLE]
        self._absent = [_absent(name) for name in _SINGLE]
        self._category = mapping.sources.get("category", Source())
        self._levels = [getter(field) for field in self._category.fields]
        self._offer = OfferReader(mapping.sources, self.notes, now)
        self._patterns = mapping.attributes
        self._taken = {field for source in mapping.sources.values() for field in source.fields}
        self._names: dict[str, str | None] = {}  # field of the export -> name of the attribute; None: not one

    @property
    def prices(self) -> PriceColumn:
        return self._offer.column

    def read(self, row: Row | RowProblem) -> ItemValues | RowProblem:
        """The item without the values that cannot be read; the problem where it cannot do without."""
        if isinstance(row, RowProblem):
            return row
        values: list[Any] = []
        left_out: list[RowProblem] = []
        for at, (name, convert) in enumerate(self._converts):
            try:
                values.append(convert(row))
            except BadValueError as error:
                problem = RowProblem(name, error.problem, str(error.value)[:200])
                if name in _NEEDED:
                    return problem
                left_out.append(problem)
                values.append(self._absent[at])
        values += self._categories(row, left_out)
        values += self._offer.read(row, left_out)
        return ItemValues(tuple(values), self._attributes(row), left_out)

    def _categories(self, row: Row, left_out: list[RowProblem]) -> tuple[CategoryPath, list[CategoryPath]]:
        """The item's own category, and the others that it is in as well."""
        try:
            paths = category_paths(self._levels, self._category, row)
        except BadValueError as error:
            left_out.append(RowProblem("category", error.problem, str(error.value)[:200]))
            paths = []
        return paths[0] if paths else (), paths[1:]

    def _attributes(self, row: Row) -> Attributes:
        """The item's attributes in the order of the row; lists give several of one name, objects one for each key."""
        attributes: Attributes = []
        for field, value in row.items():
            name = self.attribute_name(field)
            if name is not None and value is not None:
                _collect(name, value, attributes)
        return attributes

    def attribute_name(self, field: str) -> str | None:
        """What a field of the export is called as an attribute; None where it is none."""
        if field not in self._names:
            match = next((p for p in self._patterns if self._matches(field, p.fields[0])), None)
            self._names[field] = (field.removeprefix(match.strip_prefix) or field) if match else None
        return self._names[field]

    def _matches(self, field: str, pattern: str) -> bool:
        return field == pattern or (field not in self._taken and fnmatchcase(field, pattern))


def item_batch(values: list[tuple[Any, ...]], attributes: list[tuple[int, str, str]]) -> ItemBatch:
    """Clean a batch. `values` begin with the row number; `attributes` are (row number, name, value)."""
    raw = pl.DataFrame(values, schema=_RAW_SCHEMA, orient="row").with_columns(
        without_markup(pl.col("title"), MAX_TITLE),
        without_markup(pl.col("description"), MAX_DESCRIPTION),
        without_markup(pl.col("brand"), MAX_LABEL),
    )
    cleaned = raw.with_columns(
        clean_text(pl.col("title"), MAX_TITLE),
        clean_text(pl.col("description"), MAX_DESCRIPTION).fill_null(""),
        filled(clean_text(pl.col("brand"), MAX_LABEL)),
        filled(clean_text(pl.col("currency"), MAX_LABEL)),
        filled(clean_text(pl.col("image_uri"), MAX_URI)),
        *(filled(clean_text(pl.col(name), MAX_ID)) for name in ("group_id", "gtin", "mpn", "sku")),
        _clean_category(pl.col("category")),
        pl.col("other_categories").list.eval(_clean_category(pl.element())),
        pl.col("published_at").cast(ITEM_SCHEMA["published_at"]),
    )
    nameless = cleaned.filter(pl.col("title") == "")["row"].to_list()
    grouped, dropped = _grouped_attributes(attributes)
    frame = cleaned.filter(pl.col("title") != "").join(grouped, on="row", how="left", maintain_order="left")
    frame = frame.with_columns(pl.col("attributes").fill_null([]))
    notes = _cuts(raw) | {f"attributes beyond the first {MAX_ATTRIBUTES} left out": dropped}
    problems = [(row, RowProblem("title", "has no visible character")) for row in nameless]
    return ItemBatch(frame.select("row", *ITEM_SCHEMA, COMMA_PRICE), problems, notes)


def _absent(name: str) -> Any:
    return True if name == "available" else None


def _convert(name: str, mapping: CatalogueMapping, notes: Counter[str]) -> Convert:
    """How one column is read out of a row."""
    source = mapping.sources.get(_KEYS.get(name, name))
    if source is None:
        absent = _absent(name)
        return lambda _row: absent
    if source.value is not None:
        return lambda _row: source.value
    if name in ("title", "description"):
        return partial(_joined, [getter(field) for field in source.fields], name == "title")
    return _single(name, getter(source.fields[0]), source, notes)


def _single(name: str, get: Convert, source: Source, notes: Counter[str]) -> Convert:
    if name == "item_id":
        return lambda row: as_item_id(get(row))
    if name == "available":
        gets = [getter(field) for field in source.fields]
        return lambda row: as_available(next((value for one in gets if (value := one(row)) is not None), None))
    if name == "published_at":
        return lambda row: as_timestamp(get(row), source, _FIRST_YEAR, notes)
    return lambda row: as_text(get(row))


def _joined(gets: list[Convert], required: bool, row: Row) -> str | None:
    texts = [text for get in gets if (text := as_text(get(row)))]
    if required and not texts:
        raise BadValueError("is missing")
    return " ".join(texts) or None


def _collect(name: str, value: Any, attributes: Attributes, depth: int = 0) -> None:
    if depth > _MAX_NESTING:
        return
    if isinstance(value, str | int | float):
        if present(value) is not None and (not isinstance(value, float) or math.isfinite(value)):
            attributes.append((name, as_text(value) or ""))
    elif isinstance(value, list):
        for entry in value:
            _collect(name, entry, attributes, depth + 1)
    elif isinstance(value, dict):
        pair = (value.get("name"), value.get("value"))
        entries = [pair] if value.keys() == {"name", "value"} else value.items()
        for key, entry in entries:
            _collect(str(key), entry, attributes, depth + 1)


def _clean_category(paths: pl.Expr) -> pl.Expr:
    levels = paths.list.eval(filled(clean_text(pl.element(), MAX_LABEL)))
    return levels.list.drop_nulls().list.head(MAX_CATEGORY_DEPTH)


def _grouped_attributes(attributes: list[tuple[int, str, str]]) -> tuple[pl.DataFrame, int]:
    """Columns row and attributes, and how many attributes were too many."""
    flat = pl.DataFrame(attributes, schema=_ATTRIBUTE_SCHEMA, orient="row").select(
        "row",
        clean_text(without_markup(pl.col("name"), MAX_LABEL), MAX_LABEL),
        clean_text(without_markup(pl.col("value"), MAX_ATTRIBUTE_VALUE), MAX_ATTRIBUTE_VALUE),
    )
    flat = flat.filter((pl.col("name") != "") & (pl.col("value") != "")).unique(maintain_order=True)
    kept = flat.filter(pl.int_range(pl.len()).over("row") < MAX_ATTRIBUTES)
    grouped = kept.group_by("row", maintain_order=True).agg(attributes=pl.struct("name", "value"))
    return grouped.with_columns(pl.col("attributes").cast(pl.List(ATTRIBUTE))), flat.height - kept.height


def _cuts(raw: pl.DataFrame) -> dict[str, int]:
    limits = {"title": MAX_TITLE, "description": MAX_DESCRIPTION, "brand": MAX_LABEL}
    counts = raw.select(too_long(pl.col(name), limit).alias(name) for name, limit in limits.items()).row(0, named=True)
    return {f"{name} cut to {limits[name]} characters": count for name, count in counts.items()}
