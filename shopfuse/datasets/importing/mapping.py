"""A mapping file: which fields of a shop's export feed which fields of ours.

Read from TOML into frozen values; a key that means nothing here is refused by name. Converting values is field_values.
"""

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from shopfuse.core.errors import ShopfuseError
from shopfuse.datasets.importing.mapping_options import (
    FILE_KEYS,
    check_lists,
    check_option,
    file_options,
    require_known,
    row_rules,
    with_lists,
    with_timezone,
)
from shopfuse.datasets.importing.readers.tables import NOTHING_SAID, FileOptions
from shopfuse.datasets.importing.rows.variant_rows import NO_RULES, RowRules
from shopfuse.datasets.schema import EVENT_NAMES


class MappingError(ShopfuseError):
    """The mapping file is missing, not TOML, or says something that is not understood."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where one of our fields comes from, and how to read it."""

    fields: tuple[str, ...] = ()  # names in the export; "a.b" looks inside objects and GA4 key/value lists
    value: str | None = None  # a constant instead of a field
    separator: str | None = None  # category: splits "Home > Sofas"
    between: str | None = None  # category: splits "Home > Sofas, Sale" into paths
    lists: str = ""  # what becomes of several values: FIRST (also where nothing is said), JOIN, EXPLODE; PATHS
    scale: float = 1.0  # price: 0.01 turns cents into units; rating: 0.5 turns ten points into five stars
    decimal: str | None = None  # price: "," reads 1.299 as a thousand and more; None: the column's other prices decide
    format: str = "iso"  # time: iso, s, ms, us, or a strptime pattern
    timezone: ZoneInfo | None = None  # time: of those that come without one; None: UTC
    base: int = 0  # position: 1 where the export counts from one
    strip_prefix: str = ""  # attribute names lose it, and category paths
    names: Mapping[str, str] = field(default_factory=dict)  # words of the export -> our words


@dataclass(frozen=True, slots=True)
class CatalogueMapping:
    """`sources` by item field; `attributes` are field names or patterns such as attr_*."""

    sources: Mapping[str, Source]
    attributes: tuple[Source, ...] = ()
    file: FileOptions = NOTHING_SAID
    rows: RowRules = NO_RULES
    preset: str = ""  # its name, where nobody wrote the mapping for this file: what the file lacks is nobody's mistake


@dataclass(frozen=True, slots=True)
class EventMapping:
    """`sources` by event field; each entry of the list `items_field` becomes an event, read by `item_sources`."""

    sources: Mapping[str, Source]
    items_field: str | None = None
    item_sources: Mapping[str, Source] = field(default_factory=dict)
    file: FileOptions = NOTHING_SAID
    preset: str = ""


@dataclass(frozen=True, slots=True)
class ReviewMapping:
    """`sources` by review field."""

    sources: Mapping[str, Source]
    file: FileOptions = NOTHING_SAID
    preset: str = ""


_TEXT: Final = ("field", "fields", "value")
_LISTS: Final = ("lists",)
_OF_PRESETS: Final = ("name", "recognised_by")
_ITEM_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "id": ("field",),
    "title": ("field", "fields"),
    "description": ("field", "fields"),
    "brand": _TEXT,
    "category": ("field", "fields", "separator", "between", "strip_prefix"),
    "price": ("field", "scale", "decimal"),
    "sale_price": ("field", "scale", "decimal"),
    "sale_from": ("field", "format", "timezone"),
    "sale_until": ("field", "format", "timezone"),
    "sale_interval": ("field", "timezone"),
    "currency": _TEXT,
    "image": ("field",),
    "available": ("field", "fields"),
    "published_at": ("field", "format", "timezone"),
    "group_id": ("field",),
    "gtin": ("field",),
    "mpn": ("field",),
    "sku": ("field",),
}
_ATTRIBUTE_KEYS: Final = ("field", "strip_prefix")
_EVENT_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "event_id": ("field", "fields"),
    "event_name": ("field", "value", "names"),
    "timestamp": ("field", "format", "timezone"),
    "user_id": ("field", "fields"),
    "session_id": ("field", "fields"),
    "request_id": ("field", "fields"),
    "query": ("field",),
    "item_id": ("field",),
    "position": ("field", "base"),
    "list_name": ("field", "value", "names"),
    "price": ("field", "scale", "decimal"),
    "quantity": ("field",),
    "scene": ("field", "value", "names"),
    "device": ("field", "value", "names"),
    "locale": ("field", "value"),
}
_REVIEW_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "review_id": ("field", "fields"),
    "item_id": ("field", "fields"),
    "user_id": ("field", "fields"),
    "rating": ("field", "scale"),
    "text": ("field", "fields"),
    "timestamp": ("field", "format", "timezone"),
}
_NESTED: Final = ("item_id", "position", "list_name", "price", "quantity")


def read_catalogue_mapping(path: Path) -> CatalogueMapping:
    """Read `[item]` of a mapping file; MappingError names the key that is wrong."""
    return catalogue_mapping(read_document(path), path)


def catalogue_mapping(document: Mapping[str, Any], path: Path) -> CatalogueMapping:
    """The mapping that a document says; `path` is what errors call it."""
    document, file = _read(document, path, "item", "rows")
    table = document["item"]
    attributes = table.pop("attributes", [])
    if not isinstance(attributes, list):
        raise MappingError(f"{path}: item.attributes: expected a list, got {attributes!r}")
    entries = tuple(
        _source(path, f"item.attributes[{number}]", entry, _ATTRIBUTE_KEYS) for number, entry in enumerate(attributes)
    )
    known = {**_ITEM_KEYS, "attributes": ()}
    _require_known(path, "item", table, known)
    sources = {key: _source(path, f"item.{key}", entry, _ITEM_KEYS[key] + _LISTS) for key, entry in table.items()}
    _require(path, "item", sources, ("id", "title"))
    with _naming(path):
        check_lists({key: source.lists for key, source in sources.items()})
        rules = row_rules(document.get("rows", {}))
    return CatalogueMapping(sources, entries, file, rules, document.get("name", ""))


def read_event_mapping(path: Path) -> EventMapping:
    """Read `[event]` of a mapping file; MappingError names the key that is wrong."""
    return event_mapping(read_document(path), path)


def event_mapping(document: Mapping[str, Any], path: Path) -> EventMapping:
    """The mapping that a document says; `path` is what errors call it."""
    document, file = _read(document, path, "event")
    table = document["event"]
    nested = table.pop("items", None)
    known = {**_EVENT_KEYS, "items": ()}
    _require_known(path, "event", table, known)
    sources = {key: _source(path, f"event.{key}", entry, _EVENT_KEYS[key] + _LISTS) for key, entry in table.items()}
    _require(path, "event", sources, ("event_name", "timestamp"))
    if "user_id" not in sources and "session_id" not in sources:
        raise MappingError(f"{path}: event: one of user_id and session_id is needed")
    _check_event_names(path, sources["event_name"])
    items_field, item_sources = _nested(path, nested)
    return EventMapping(sources, items_field, item_sources, file, document.get("name", ""))


def read_review_mapping(path: Path) -> ReviewMapping:
    """Read `[review]` of a mapping file; MappingError names the key that is wrong."""
    return review_mapping(read_document(path), path)


def review_mapping(document: Mapping[str, Any], path: Path) -> ReviewMapping:
    """The mapping that a document says; `path` is what errors call it."""
    document, file = _read(document, path, "review")
    table = document["review"]
    _require_known(path, "review", table, _REVIEW_KEYS)
    sources = {key: _source(path, f"review.{key}", entry, _REVIEW_KEYS[key] + _LISTS) for key, entry in table.items()}
    _require(path, "review", sources, ("item_id", "rating", "text"))
    return ReviewMapping(sources, file, document.get("name", ""))


def read_document(path: Path) -> dict[str, Any]:
    """The TOML of a mapping file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MappingError(f"{path}: cannot read the mapping: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MappingError(f"{path}: not valid TOML: {error}") from error


def _read(document: Mapping[str, Any], path: Path, section: str, *more: str) -> tuple[dict[str, Any], FileOptions]:
    """The document with its table `section`, and what it says of the file; `more` are tables it may have too."""
    _require_known(path, "", document, (section, *FILE_KEYS, *more, *_OF_PRESETS))
    table = document.get(section)
    if not isinstance(table, dict):
        raise MappingError(f"{path}: expected a table [{section}]")
    with _naming(path):
        if "timezone" in document:
            table = with_timezone(table, document["timezone"])
        if "lists" in document:
            table = with_lists(table, document["lists"])
        return {**document, section: dict(table)}, file_options(document)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise MappingError(f"{path}: {error}") from error


def _source(path: Path, key: str, entry: object, allowed: tuple[str, ...]) -> Source:
    """A name alone is short for { field = NAME }, a list of names for { fields = [...] }."""
    if isinstance(entry, str | list):
        entry = {"field" if isinstance(entry, str) else "fields": entry}
    if not isinstance(entry, dict):
        raise MappingError(f"{path}: {key}: expected a field name or a table, got {entry!r}")
    options = dict(entry)
    _require_known(path, key, options, allowed)
    with _naming(path):
        for option, value in options.items():
            check_option(f"{key}.{option}", option, value)
    sources = [option for option in _TEXT if option in options]
    if len(sources) != 1:
        raise MappingError(f"{path}: {key}: expected exactly one of {', '.join(o for o in _TEXT if o in allowed)}")
    single = options.pop("field", None)
    names = (single,) if single is not None else tuple(options.pop("fields", ()))
    if "timezone" in options:
        options["timezone"] = ZoneInfo(options["timezone"])
    return Source(fields=names, **options)


def _nested(path: Path, nested: object) -> tuple[str | None, dict[str, Source]]:
    if nested is None:
        return None, {}
    if not isinstance(nested, dict) or not isinstance(nested.get("field"), str) or not nested["field"]:
        raise MappingError(f"{path}: event.items: expected a table with a field, got {nested!r}")
    table = {key: entry for key, entry in nested.items() if key != "field"}
    _require_known(path, "event.items", table, ("field", *_NESTED))
    sources = {
        key: _source(path, f"event.items.{key}", entry, _EVENT_KEYS[key] + _LISTS) for key, entry in table.items()
    }
    _require(path, "event.items", sources, ("item_id",))
    return nested["field"], sources


def _check_event_names(path: Path, source: Source) -> None:
    for word in (*source.names.values(), *([source.value] if source.value is not None else [])):
        if word not in EVENT_NAMES:
            raise MappingError(f"{path}: event.event_name: expected one of {', '.join(EVENT_NAMES)}, got {word!r}")


def _require_known(path: Path, section: str, table: object, known: Mapping[str, object] | tuple[str, ...]) -> None:
    with _naming(path):
        require_known(section, table, known)


def _require(path: Path, section: str, sources: Mapping[str, Source], names: tuple[str, ...]) -> None:
    for name in names:
        if name not in sources:
            raise MappingError(f"{path}: {section}.{name} is missing; it is needed")
