"""Single values of an export turned into ours, or refused with a reason.

Values come from JSON, CSV or Parquet, so a number may arrive as text and a text as a number. Cleaning of long texts is
text_cleaning's: it works on whole columns.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, Final

from shopfuse.datasets.importing.mapping import Source
from shopfuse.datasets.schema import MAX_ID, MAX_ITEM_ID

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_UNITS: Final = {"s": 1_000_000, "ms": 1_000, "us": 1}
# What exports write where they have nothing, spelled as they spell it: `none` may be a value, and NAN is a brand.
PLACEHOLDERS: Final = frozenset(
    [
        *("(not set)", "(none)", "(null)", "<null>", "null", "NULL", "Null", "None", "undefined", "NaN", "nan"),
        *("N/A", "n/a", "N/a", "#N/A", "-", "--", "---", "\u2013", "\u2014", "\\N"),
        "Default Title",  # what Shopify writes of a product without options
    ]
)
_LONGEST: Final = 16  # of a placeholder with spaces around it
_TYPED_VALUES: Final = ("string_value", "int_value", "float_value", "double_value")


ASSUMED_UTC: Final = 'time without a zone taken as UTC (timezone = "Europe/Berlin" in the mapping says another)'


class BadValueError(Exception):
    """One value cannot be taken; the text says what was expected. Caught where rows are read."""

    def __init__(self, problem: str, value: object = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.value = value


def getter(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """A function that finds `name` in a row: as it is, or "a.b" inside objects and GA4 lists of {key, value}.

    It gives None where the row has only a placeholder, such as `(not set)`.
    """
    if "." not in name:

        def get(row: Mapping[str, Any]) -> Any:
            value = row.get(name)  # `present`, without the call: this runs for every value of a file
            if type(value) is str and len(value) <= _LONGEST and value.strip() in PLACEHOLDERS:
                return None
            return value

        return get
    parts = name.split(".")

    def walk(row: Mapping[str, Any]) -> Any:
        if name in row:
            return present(row[name])
        value: Any = row
        for part in parts:
            value = _step(value, part)
        return present(value)

    return walk


def present(value: Any) -> Any:
    """The value, or None where it is a placeholder of an export for nothing."""
    return None if type(value) is str and len(value) <= _LONGEST and value.strip() in PLACEHOLDERS else value


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
    if not text.isprintable() or len(text.encode()) > MAX_ITEM_ID:
        raise BadValueError(f"expected at most {MAX_ITEM_ID} bytes of UTF-8 without control characters", text)
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


def as_timestamp(value: Any, source: Source, first_year: int, notes: Counter[str]) -> int | None:
    """Microseconds since the epoch. Refused outside first_year..2099.

    A time without a zone is of the mapping's; where that has none it is UTC, which is noted.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    moment = _moment(value, source, notes)
    if not _year_start(first_year) <= moment < _year_start(2100):
        raise BadValueError(f"a time outside {first_year}..2099 (is format = '{source.format}' right?)", value)
    return moment


def _moment(value: Any, source: Source, notes: Counter[str]) -> int:
    time_format = source.format
    if isinstance(value, datetime | date):
        return _microseconds(value, source, notes)
    try:
        if time_format in _UNITS:
            number = int(value) if isinstance(value, str) and value.strip().isdecimal() else _number(value)
            return int(number * _UNITS[time_format])
        text = str(value).strip()
        if time_format == "iso":
            zoned = f"{text.removesuffix(' UTC')}+00:00" if text.endswith(" UTC") else text
            return _microseconds(datetime.fromisoformat(zoned), source, notes)
        return _microseconds(datetime.strptime(text, time_format), source, notes)
    except (ValueError, OverflowError, BadValueError):
        raise BadValueError(f"not a time in the format '{time_format}'", value) from None


def _microseconds(moment: date, source: Source, notes: Counter[str]) -> int:
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    if moment.tzinfo is None:
        if source.timezone is None:
            notes[ASSUMED_UTC] += 1
        moment = moment.replace(tzinfo=source.timezone or UTC)
    return (moment - _EPOCH) // _MICROSECOND


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
