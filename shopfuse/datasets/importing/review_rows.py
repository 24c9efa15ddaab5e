"""Rows of a shop's reviews turned into rows of the review table.

Each row is converted by itself, so that a bad one can be named. What a rating means for sentiment is training's affair.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from shopfuse.datasets.importing.mapping import ReviewMapping, Source
from shopfuse.datasets.importing.source_rows import Row, RowProblem
from shopfuse.datasets.importing.values.field_values import (
    BadValueError,
    as_item_id,
    as_outer_id,
    as_rating,
    as_text,
    as_timestamp,
    getter,
)
from shopfuse.datasets.importing.values.text_cleaning import clean_text, filled, too_long, without_markup
from shopfuse.datasets.schema import MAX_REVIEW, REVIEW_SCHEMA

_FIRST_YEAR: Final = 1995
_NEEDED: Final = ("item_id", "rating", "text")
_COLUMNS: Final = tuple(REVIEW_SCHEMA)
_RAW_SCHEMA: Final = pl.Schema({"row": pl.UInt32()} | dict(REVIEW_SCHEMA) | {"timestamp": pl.Int64()})

Convert = Callable[[Row], Any]


@dataclass(frozen=True, slots=True)
class ReviewValues:
    """One review in the order of REVIEW_SCHEMA, its text not cleaned yet, and the values that were left out."""

    values: tuple[Any, ...]
    left_out: list[RowProblem]


class ReviewReader:
    """A review mapping made ready to run over rows."""

    def __init__(self, mapping: ReviewMapping) -> None:
        self.notes: Counter[str] = Counter()
        self._converts = [(name, _convert(name, source, self.notes)) for name, source in mapping.sources.items()]

    def read(self, row: Row | RowProblem) -> ReviewValues | RowProblem:
        """The review without the values that cannot be read; the problem where it cannot do without."""
        if isinstance(row, RowProblem):
            return row
        values: dict[str, Any] = dict.fromkeys(_COLUMNS)
        left_out: list[RowProblem] = []
        for field, convert in self._converts:
            try:
                values[field] = convert(row)
            except BadValueError as error:
                problem = RowProblem(field, error.problem, str(error.value)[:200])
                if field in _NEEDED:
                    return problem
                left_out.append(problem)
        values["review_id"] = values["review_id"] or _content_id(values)
        return ReviewValues(tuple(values[name] for name in _COLUMNS), left_out)


def review_table(reviews: list[tuple[Any, ...]]) -> tuple[pl.DataFrame, list[tuple[int, RowProblem]], int]:
    """Clean a batch; `reviews` begin with the row number.

    Gives REVIEW_SCHEMA and `row`, the rows that turned out to say nothing, and how many texts were cut.
    """
    raw = pl.DataFrame(reviews, schema=_RAW_SCHEMA, orient="row").with_columns(
        without_markup(pl.col("text"), MAX_REVIEW)
    )
    cut = int(raw.select(too_long(pl.col("text"), MAX_REVIEW)).item() or 0)
    cleaned = raw.with_columns(
        filled(clean_text(pl.col("text"), MAX_REVIEW)), pl.col("timestamp").cast(REVIEW_SCHEMA["timestamp"])
    )
    silent = cleaned.filter(pl.col("text").is_null())["row"]
    missing = RowProblem("text", "is missing")
    return cleaned.drop_nulls("text"), [(row, missing) for row in silent], cut


def _convert(name: str, source: Source, notes: Counter[str]) -> Convert:
    """How one column is read out of a row."""
    gets = [getter(field) for field in source.fields]
    if name == "text":
        return lambda row: _joined([as_text(get(row)) for get in gets], ". ")
    if name in ("user_id", "review_id"):
        return lambda row: as_outer_id(_joined([as_text(get(row)) for get in gets], "."))
    get = gets[0]
    if name == "rating":
        return lambda row: as_rating(get(row), source)
    if name == "timestamp":
        return lambda row: as_timestamp(get(row), source, _FIRST_YEAR, notes)
    return lambda row: as_item_id(next((value for get in gets if (value := get(row)) not in (None, "", [])), None))


def _joined(parts: list[str | None], between: str) -> str | None:
    return between.join(part.strip() for part in parts if part and part.strip()) or None


def _content_id(values: dict[str, Any]) -> str:
    """Reviews without an id are one review where their content is the same."""
    content = "\x1f".join(str(values[name]) for name in _COLUMNS[1:])
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
