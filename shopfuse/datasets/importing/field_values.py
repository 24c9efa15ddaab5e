"""Single values of an export turned into ours, or refused with a reason.

Values come from JSON, CSV or Parquet, so a number may arrive as text and a text as a number. Cleaning of long texts is
text_cleaning's: it works on whole columns.
"""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, Final

from shopfuse.datasets.importing.mapping import Source
from shopfuse.datasets.schema import ID_PATTERN, MAX_ID

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_UNITS: Final = {"s": 1_000_000, "ms": 1_000, "us": 1}
_YES: Final = ("true", "1", "yes", "y", "in stock", "in_stock", "instock", "available", "preorder", "backorder")
_NO: Final = ("false", "0", "no", "n", "out of stock", "out_of_stock", "outofstock", "unavailable")
_AVAILABLE: Final = {**dict.fromkeys(_YES, True), **dict.fromkeys(_NO, False)}
_TYPED_VALUES: Final = ("string_value", "int_value", "float_value", "double_value")


class BadValueError(Exception):
    """One value cannot be taken; the text says what was expected. Caught where rows are read."""

    def __init__(self, problem: str, value: object = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.value = value


def getter(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """A function that finds `name` in a row: as it is, or "a.b" inside objects and GA4 lists of {key, value}."""
    if "." not in name:
        return lambda row: row.get(name)
    parts = name.split(".")

    def walk(row: Mapping[str, Any]) -> Any:
        if name in row:
            return row[name]
        value: Any = row
        for part in parts:
            value = _step(value, part)
        return value

    return walk


def _step(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return value.get(name)
    if isinstance(value, list):
        for entry in value:
            if isinstance(entry, dict) and entry.get("key") == name:
                return _unwrapped(entry.get("value"))
    return None


def _unwrapped(value: Any) -> Any:
    if isinstance(value, dict):
        return next((value[part] for part in _TYPED_VALUES if value.get(part) is not None), None)
    return value


def as_text(value: Any) -> str | None:
    """Text, with numbers and true/false spelled out; None where there is nothing."""
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return None if math.isnan(value) else str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, date):
        return value.isoformat()
    raise BadValueError("expected a text", value)


def as_item_id(value: Any) -> str:
    """An item id in the form that the whole system relies on."""
    text = as_text(value)
    if isinstance(value, bool):
        raise BadValueError("expected an id", value)
    text = text.strip() if text else ""
    if not text:
        raise BadValueError("is missing")
    if not ID_PATTERN.fullmatch(text):
        raise BadValueError("expected 1 to 64 of A-Z a-z 0-9 . _ : - starting with a letter or digit", text)
    return text


def as_outer_id(value: Any) -> str | None:
    """A user, session, request or event id: any printable text without spaces, of bounded length."""
    text = as_text(value)
    text = text.strip() if text else ""
    if not text:
        return None
    if len(text) > MAX_ID or not text.isprintable() or " " in text:
        raise BadValueError(f"expected at most {MAX_ID} printable characters without spaces", text)
    return text


def as_word(value: Any, source: Source) -> str | None:
    """A word of a closed set: translated by the mapping's table, else in lower case."""
    text = (as_text(value) or "").strip()
    return source.names.get(text, text.casefold()) or None


def as_price(value: Any, source: Source) -> float | None:
    """A positive finite price; None where there is none, which zero also means."""
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        value = text.replace(".", "").replace(",", ".") if source.decimal == "," else text
    if value is None:
        return None
    number = _number(value) * source.scale
    if not math.isfinite(number) or number < 0:
        raise BadValueError("expected a positive number", value)
    # cents times 0.01 is 49.949999...: round to what a currency can express, with room for fractions of a cent
    return round(number, 6) or None


def as_rating(value: Any, source: Source) -> float:
    """Stars from 1 to 5, halves and the like included."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise BadValueError("is missing")
    stars = _number(value) * source.scale
    if not 1.0 <= stars <= 5.0:
        raise BadValueError(f"expected 1 to 5 stars (is scale = {source.scale:g} right?)", value)
    return round(stars, 3)


def as_count(value: Any, base: int = 0) -> int | None:
    """A whole number >= 0 after `base` is taken off."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    number = _number(value)
    if not math.isfinite(number) or not number.is_integer() or not 0 <= number - base < 2**31:
        raise BadValueError(f"expected a whole number from {base}", value)
    return int(number) - base


def as_available(value: Any) -> bool:
    """Whether the item can be bought; yes where nothing is said."""
    if isinstance(value, bool):
        return value
    text = (as_text(value) or "").strip().casefold()
    if not text:
        return True
    if text not in _AVAILABLE:
        raise BadValueError("expected true/false, 1/0, yes/no, in stock/out of stock", value)
    return _AVAILABLE[text]


def as_timestamp(value: Any, source: Source, first_year: int) -> int | None:
    """Microseconds since the epoch; a time without a zone is UTC. Refused outside first_year..2099."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    moment = _moment(value, source.format)
    if not _year_start(first_year) <= moment < _year_start(2100):
        raise BadValueError(f"a time outside {first_year}..2099 (is format = '{source.format}' right?)", value)
    return moment


def _moment(value: Any, time_format: str) -> int:
    if isinstance(value, datetime | date):
        return _microseconds(value)
    try:
        if time_format in _UNITS:
            number = int(value) if isinstance(value, str) and value.strip().isdecimal() else _number(value)
            return int(number * _UNITS[time_format])
        text = str(value).strip()
        if time_format == "iso":
            return _microseconds(datetime.fromisoformat(text.removesuffix(" UTC")))
        return _microseconds(datetime.strptime(text, time_format))
    except (ValueError, OverflowError, BadValueError):
        raise BadValueError(f"not a time in the format '{time_format}'", value) from None


def _microseconds(moment: date) -> int:
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


@cache
def _year_start(year: int) -> int:
    return (datetime(year, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadValueError("expected a number", value)
    if isinstance(value, str) and "_" in value:  # Python reads 1_000, no shop writes it
        raise BadValueError("expected a number", value)
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise BadValueError("expected a number", value) from None
