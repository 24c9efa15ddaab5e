"""Rows of a shop's event log turned into rows of the event table: one row for each event and item.

Each row is converted by itself, so that a bad one can be named; an event that shopfuse has no use for is passed over.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from shopfuse.datasets.importing.mapping import EventMapping, Source
from shopfuse.datasets.importing.source_rows import Row, RowProblem
from shopfuse.datasets.importing.values.field_values import (
    BadValueError,
    as_count,
    as_item_id,
    as_outer_id,
    as_text,
    as_timestamp,
    as_word,
    getter,
)
from shopfuse.datasets.importing.values.prices import COMMA_PRICE, PriceColumn, two_readings
from shopfuse.datasets.importing.values.text_cleaning import clean_text, filled
from shopfuse.datasets.schema import (
    EVENT_NAMES,
    EVENT_SCHEMA,
    LIST_NAMES,
    MAX_ID,
    MAX_LOCALE,
    MAX_SCENE,
)
from shopfuse.ranking.features import DEVICES
from shopfuse.ranking.text import MAX_QUERY

_FIRST_YEAR: Final = 2000
_RAW_SCHEMA: Final = pl.Schema(
    {"row": pl.UInt32()} | dict(EVENT_SCHEMA) | {"timestamp": pl.Int64(), COMMA_PRICE: pl.Float64()}
)
_COLUMNS: Final = tuple(EVENT_SCHEMA)
_NEEDED: Final = ("event_name", "timestamp")

Values = dict[str, Any]  # column -> value
Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class RowEvents:
    """The events of a row: the values of EVENT_SCHEMA and COMMA_PRICE of each, and the values that were left out."""

    events: list[tuple[Any, ...]]
    left_out: list[RowProblem]


class EventReader:
    """An event mapping made ready to run over rows."""

    def __init__(self, mapping: EventMapping) -> None:
        self.notes: Counter[str] = Counter()
        self.prices = PriceColumn(self.notes)
        self._name = self._convert("event_name", mapping.sources["event_name"])
        self._converts = self._table(mapping.sources)
        self._item_converts = self._table(mapping.item_sources)
        self._items = getter(mapping.items_field) if mapping.items_field else None

    def read(self, row: Row | RowProblem) -> RowEvents | RowProblem:
        """The events of a row: none where it is not for us, one for each item it lists; the problem of a bad row."""
        if isinstance(row, RowProblem):
            return row
        left_out: list[RowProblem] = []
        field = "event_name"
        try:
            name = self._name(row)
            if name is None:
                return RowEvents([], left_out)
            values: Values = dict.fromkeys((*_COLUMNS, COMMA_PRICE))
            self._fill(values, self._converts, row, "", left_out)
            values["event_name"] = name
            field = "items"
            return RowEvents([_finished(event, left_out) for event in self._events(values, row, left_out)], left_out)
        except _NeededError as error:
            return error.problem
        except BadValueError as error:
            return _problem(field, error)

    def _fill(
        self, values: Values, converts: list[tuple[str, Convert]], row: Row, prefix: str, left_out: list[RowProblem]
    ) -> None:
        """Read the columns of a row into `values`; what cannot be read and is not needed is left out."""
        for field, convert in converts:
            try:
                value = convert(row)
            except BadValueError as error:
                problem = _problem(prefix + field, error)
                if field in _NEEDED:
                    raise _NeededError(problem) from error
                left_out.append(problem)
                continue
            if value is None:
                continue
            if field == "price":
                values["price"], values[COMMA_PRICE] = two_readings(value)
            else:
                values[field] = value

    def _events(self, values: Values, row: Row, left_out: list[RowProblem]) -> list[Values]:
        """The row's event once for each of its items."""
        if values["event_name"] == "search":
            return [values | {"item_id": None, "position": None}]
        entries = self._items(row) if self._items else None
        if not entries:
            return [values]
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise BadValueError("expected a list of objects", entries)
        events = [self._event_of_item(values, entry, slot, left_out) for slot, entry in enumerate(entries)]
        kept = [event for event in events if event["item_id"] is not None]
        if len(kept) < len(events):
            self.notes["entry of a list of items left out: it has no item_id"] += len(events) - len(kept)
        if not kept:
            self.notes["row left out: none of its items has an item_id"] += 1
        return kept

    def _event_of_item(self, values: Values, entry: Row, slot: int, left_out: list[RowProblem]) -> Values:
        event = dict(values)
        self._fill(event, self._item_converts, entry, "items.", left_out)
        if event["position"] is None and event["event_name"] == "view_item_list":
            event["position"] = slot
        if event["event_id"]:
            event["event_id"] = f"{event['event_id']}.{slot}"
        return event

    def _table(self, sources: Mapping[str, Source]) -> list[tuple[str, Convert]]:
        return [(name, self._convert(name, source)) for name, source in sources.items() if name != "event_name"]

    def _convert(self, name: str, source: Source) -> Convert:
        """How one column is read out of a row."""
        get = _get(source)
        if name in _WORDS:
            return lambda row: self._word(name, get(row), source)
        if name == "timestamp":
            return lambda row: as_timestamp(get(row), source, _FIRST_YEAR, self.notes)
        if name == "item_id":
            return lambda row: None if (value := get(row)) in (None, "") else as_item_id(value)
        if name == "position":
            return lambda row: as_count(get(row), source.base)
        if name == "quantity":
            return lambda row: as_count(get(row))
        if name == "price":
            return lambda row: self.prices.read(get(row), source)
        if name in ("query", "scene", "locale"):
            return lambda row: as_text(get(row))
        return lambda row: as_outer_id(get(row))

    def _word(self, name: str, value: Any, source: Source) -> str | None:
        word = as_word(value, source)
        if word is None and name == "event_name":
            raise BadValueError("is missing")
        if word is None or word in _WORDS[name]:
            return word
        self.notes[f"{'row' if name == 'event_name' else 'field'} left out: {name} '{str(word)[:40]}' is not ours"] += 1
        return None


_WORDS: Final = {"event_name": EVENT_NAMES, "list_name": LIST_NAMES, "device": DEVICES}


class _NeededError(Exception):
    """A value that an event cannot do without cannot be read."""

    def __init__(self, problem: RowProblem) -> None:
        super().__init__(problem.problem)
        self.problem = problem


def _problem(field: str, error: BadValueError) -> RowProblem:
    return RowProblem(field, error.problem, str(error.value)[:200])


def event_table(events: list[tuple[Any, ...]]) -> tuple[pl.DataFrame, list[tuple[int, RowProblem]]]:
    """Clean a batch; `events` begin with the row number.

    Gives EVENT_SCHEMA, `row` and COMMA_PRICE, and rows that turned out bad.
    """
    raw = pl.DataFrame(events, schema=_RAW_SCHEMA, orient="row")
    cleaned = raw.with_columns(
        filled(clean_text(pl.col("query"), MAX_QUERY)),
        filled(clean_text(pl.col("scene"), MAX_SCENE)),
        filled(clean_text(pl.col("locale"), MAX_LOCALE)),
        pl.col("timestamp").cast(EVENT_SCHEMA["timestamp"]),
    )
    blank = (pl.col("event_name") == "search") & pl.col("query").is_null()
    missing = RowProblem("query", "is missing, and the event is a search")
    return cleaned.filter(~blank), [(row, missing) for row in cleaned.filter(blank)["row"]]


def _finished(event: Values, left_out: list[RowProblem]) -> tuple[Any, ...]:
    """The event with what can be derived filled in and what is needed checked."""
    if event["timestamp"] is None:
        raise _missing("timestamp", left_out)
    if event["item_id"] is None and event["event_name"] != "search":
        raise _missing("item_id", left_out)
    event["user_id"] = event["user_id"] or event["session_id"]
    if event["user_id"] is None:
        raise _missing("user_id", left_out, "is missing, and so is session_id")
    event["session_id"] = event["session_id"] or _day_session(event["user_id"], event["timestamp"])
    if event["event_id"] and len(event["event_id"]) > MAX_ID:
        left_out.append(RowProblem("event_id", f"longer than {MAX_ID} characters", event["event_id"][:200]))
        event["event_id"] = None
    event["event_id"] = event["event_id"] or _hash(*(str(event[name]) for name in _COLUMNS[1:]))
    return (*(event[name] for name in _COLUMNS), event[COMMA_PRICE])


def _missing(field: str, left_out: list[RowProblem], problem: str = "is missing") -> _NeededError:
    """What is wrong with a needed value: it could not be read, or it is not there."""
    unread = next((entry for entry in left_out if entry.field == field), None)
    return _NeededError(unread or RowProblem(field, problem))


def _day_session(user_id: str, timestamp: int) -> str:
    """Logs without sessions get one for each user and UTC day."""
    day = datetime.fromtimestamp(timestamp // 1_000_000, UTC).date().isoformat()
    return _hash(user_id, day)


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def _get(source: Source) -> Convert:
    """The raw value of a source; several fields are joined with a point, which keeps ids unique (GA4 session ids)."""
    if source.value is not None:
        return lambda _row: source.value
    if len(source.fields) == 1:
        return getter(source.fields[0])
    gets = [getter(field) for field in source.fields]

    def joined(row: Row) -> str | None:
        parts = [as_text(get(row)) for get in gets]
        return ".".join(part for part in parts if part) if all(parts) else None

    return joined
