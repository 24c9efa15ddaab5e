"""Lists inside rows made plain, so that whoever reads a field finds one value under its name.

A field such as `variants.price` leads through a list of objects. Its mapping says what becomes of the several values:
the first that is not empty, all joined to one text, or a row of its own for each entry of the list (explode). A
category keeps them all: see category_paths.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from shopfuse.datasets.importing.mapping import Source
from shopfuse.datasets.importing.mapping_options import EXPLODE, JOIN
from shopfuse.datasets.importing.source_rows import NumberedRow, Row, RowProblem
from shopfuse.datasets.importing.values.field_values import getter, present

_JOINED_BY: Final = ", "
_EMPTY: Final = (None, "")


def plain_rows(rows: Iterator[NumberedRow], sources: Mapping[str, Source]) -> Iterator[NumberedRow]:
    """The rows, exploded where a source says so, with a plain value under the name of each field of `sources`."""
    fields = [(field, key, source.lists, getter(field)) for key, source in sources.items() for field in source.fields]
    exploded = [field.split(".") for field, _, lists, _ in fields if lists == EXPLODE]
    own_id = next((get for _, key, _, get in fields if key == "id"), None)
    for number, row in rows:
        if isinstance(row, RowProblem):
            yield number, row
            continue
        seen: set[Any] = set()
        for part in _exploded(row, exploded) if exploded else (row,):
            if isinstance(part, RowProblem):
                yield number, part
                continue
            _make_plain(part, fields)
            name = own_id(part) if exploded and own_id else None
            if name is not None and name in seen:
                yield number, RowProblem("id", "an earlier entry of the same list has this id", str(name)[:200])
                continue
            seen.add(name)
            yield number, part


def _make_plain(row: Row, fields: Sequence[tuple[str, str, str, Callable[[Mapping[str, Any]], Any]]]) -> None:
    for field, key, lists, get in fields:
        value = get(row)
        if value is None and "." in field:
            value = _through_lists(row, field.split("."))
        if isinstance(value, list):
            row[field] = value if key == "category" else _one_value(value, lists)


def _one_value(values: list[Any], lists: str) -> Any:
    """One of the values, or all as one text; objects are left for their reader to refuse."""
    filled = [value for value in values if present(value) not in _EMPTY]
    if lists == JOIN and all(isinstance(value, str | int | float) for value in filled):
        return _JOINED_BY.join(str(value) for value in filled) or None
    return filled[0] if filled else None


def _through_lists(value: Any, parts: list[str]) -> list[Any]:
    """All values at the path, whatever lists lie on it."""
    if isinstance(value, list):
        return [found for entry in value for found in _through_lists(entry, parts)]
    if not parts:
        return [] if value in _EMPTY else [value]
    return _through_lists(value.get(parts[0]), parts[1:]) if isinstance(value, dict) else []


def _exploded(row: Row, paths: list[list[str]]) -> Iterator[Row | RowProblem]:
    """A copy of the row for each entry of the one list that the paths lead through; the row itself without one."""
    places = {place for path in paths if (place := _list_on(row, path)) is not None}
    if len(places) > 1:
        names = ", ".join(sorted(".".join(place) for place in places))
        yield RowProblem("", f"only one list can be exploded, but the mapping's fields lie in {names}")
    elif not places:
        yield row
    else:
        place = places.pop()
        entries: Any = row
        for part in place:
            entries = entries[part]
        for entry in entries:
            yield _with(row, place, entry)


def _list_on(row: Row, path: list[str]) -> tuple[str, ...] | None:
    """Where the first list on the path lies, if it has entries."""
    value: Any = row
    for depth, part in enumerate(path, start=1):
        value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, list) and value:
            return tuple(path[:depth])
    return None


def _with(row: Row, place: tuple[str, ...], entry: Any) -> Row:
    """The row with `entry` at `place`, copied down to there."""
    first, *rest = place
    return {**row, first: _with(row[first], tuple(rest), entry) if rest else entry}
