"""What a mapping says beside its fields: how the file is written, how rows belong together, how values are to be read.

Each function takes what the TOML holds and raises ValueError, whose text names the key; the mapping adds its file.
"""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any, Final, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shopfuse.datasets.importing.readers.tables import FileOptions
from shopfuse.datasets.importing.readers.text import check_encoding
from shopfuse.datasets.importing.rows.variant_rows import RowRules

FIRST, JOIN, EXPLODE = LISTS = ("first", "join", "explode")
LEVELS, PATHS = CATEGORY_LISTS = ("levels", "paths")  # what a category's list of texts holds
FILE_KEYS: Final = ("csv", "encoding", "sheet", "lists", "timezone")
TIMES: Final = ("timestamp", "published_at", "sale_from", "sale_until", "sale_interval")
_WITHOUT_LISTS: Final = ("category", "items", "attributes")
_OPTION_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "field": (str,),
    "fields": (list,),
    "value": (str,),
    "separator": (str,),
    "between": (str,),
    "lists": (str,),
    "scale": (int, float),
    "decimal": (str,),
    "format": (str,),
    "timezone": (str,),
    "base": (int,),
    "strip_prefix": (str,),
    "names": (dict,),
}


def file_options(document: Mapping[str, Any]) -> FileOptions:
    """Of `encoding`, `sheet` and `[csv]`."""
    csv = document.get("csv", {})
    require_known("csv", csv, ("delimiter",))
    delimiter, encoding, sheet = csv.get("delimiter", ""), document.get("encoding", ""), document.get("sheet", "")
    if not isinstance(delimiter, str) or len(delimiter) > 1 or delimiter in tuple('"\r\n'):
        raise ValueError(f"csv.delimiter: expected one character, got {delimiter!r}")
    if not isinstance(sheet, str):
        raise ValueError(f"sheet: expected the name of a sheet, got {sheet!r}")
    try:
        return FileOptions(delimiter, check_encoding(encoding) if encoding else "", sheet)
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"encoding: expected one such as windows-1252, got {encoding!r}") from error


def row_rules(table: object) -> RowRules:
    """Of `[rows]`: each of its keys is of the type that RowRules declares for it."""
    kinds = {rule.name: type(rule.default) for rule in fields(RowRules) if rule.default is not MISSING}
    require_known("rows", table, [rule.name for rule in fields(RowRules)])
    rules: dict[str, Any] = {}
    for key, value in cast("dict[str, Any]", table).items():
        kind: type = str if kinds.get(key) is str else list if kinds.get(key) is tuple else dict
        if not isinstance(value, kind):
            raise ValueError(f"rows.{key}: expected {kind.__name__}, got {value!r}")
        rules[key] = tuple(str(one) for one in value) if isinstance(value, list) else value
    if not all(isinstance(values, list) for values in rules.get("skip", {}).values()):
        raise ValueError(f"rows.skip: expected a list of values for each field, got {rules['skip']!r}")
    if "skip" in rules:
        rules["skip"] = {name: tuple(str(one).casefold() for one in values) for name, values in rules["skip"].items()}
    return RowRules(**rules)


def with_lists(table: Mapping[str, Any], lists: object) -> dict[str, Any]:
    """The fields with the file's `lists` where they do not say another."""
    if lists not in LISTS:
        raise ValueError(f"lists: expected one of {', '.join(LISTS)}, got {lists!r}")
    said: dict[str, Any] = {}
    for key, entry in table.items():
        entry = {"field": entry} if isinstance(entry, str) else entry
        plain = isinstance(entry, dict) and "value" not in entry and key not in _WITHOUT_LISTS
        said[key] = {"lists": lists, **entry} if plain else entry
    return said


def with_timezone(table: Mapping[str, Any], timezone: object) -> dict[str, Any]:
    """The fields with the file's time zone in the times that do not say another."""
    if not _is_timezone(timezone):
        raise ValueError(f"timezone: expected a time zone such as Europe/Berlin, got {timezone!r}")
    said: dict[str, Any] = {}
    for key, entry in table.items():
        entry = {"field": entry} if isinstance(entry, str) and key in TIMES else entry
        said[key] = {"timezone": timezone, **entry} if isinstance(entry, dict) and key in TIMES else entry
    return said


def check_option(key: str, option: str, value: object) -> None:
    """Whether an option of a field has a value that it can have."""
    types = _OPTION_TYPES[option]
    if not isinstance(value, types) or isinstance(value, bool):
        raise ValueError(f"{key}: expected {' or '.join(t.__name__ for t in types)}, got {value!r}")
    if value in ("", []) and option != "strip_prefix":
        raise ValueError(f"{key}: is empty")
    if option == "fields" and not all(isinstance(name, str) and name for name in value):  # type: ignore[attr-defined]
        raise ValueError(f"{key}: expected a list of field names, got {value!r}")
    if option == "names" and not all(isinstance(word, str) for word in value.values()):  # type: ignore[attr-defined]
        raise ValueError(f"{key}: expected a table of words, got {value!r}")
    if option == "scale" and not 0 < float(value) < float("inf"):  # type: ignore[arg-type]
        raise ValueError(f"{key}: expected a positive number, got {value!r}")
    if option == "decimal" and value not in (".", ","):
        raise ValueError(f"{key}: expected '.' or ',', got {value!r}")
    if option == "timezone" and not _is_timezone(value):
        raise ValueError(f"{key}: expected a time zone such as Europe/Berlin, got {value!r}")
    if option == "lists" and value not in (*LISTS, *CATEGORY_LISTS):
        raise ValueError(f"{key}: expected one of {', '.join(LISTS)}, got {value!r}")
    if option == "format" and value not in ("iso", "s", "ms", "us") and "%" not in str(value):
        raise ValueError(f"{key}: expected iso, s, ms, us or a pattern such as %d.%m.%Y, got {value!r}")


def check_lists(said: Mapping[str, str]) -> None:
    """Whether each field's `lists` is a word for that field, and an item's id is exploded where another field is."""
    for key, lists in said.items():
        known = CATEGORY_LISTS if key == "category" else LISTS
        if lists and lists not in known:
            raise ValueError(f"item.{key}.lists: expected one of {', '.join(known)}, got {lists!r}")
    exploded = [key for key, lists in said.items() if lists == EXPLODE]
    if exploded and "id" not in exploded:
        raise ValueError(f"item.{exploded[0]}.lists: 'explode' makes an item of each entry, so item.id needs it too")


def require_known(section: str, table: object, known: Iterable[str]) -> None:
    """Whether `table` is one, of known keys alone."""
    if not isinstance(table, dict):
        raise ValueError(f"{section}: expected a table, got {table!r}")
    known = list(known)
    unknown = [key for key in table if key not in known]
    if unknown:
        name = f"{section}.{unknown[0]}" if section else unknown[0]
        raise ValueError(f"unknown key '{name}' (known: {', '.join(known)})")


def _is_timezone(name: object) -> bool:
    try:
        return isinstance(name, str) and ZoneInfo(name) is not None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
