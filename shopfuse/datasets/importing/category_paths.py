"""The categories of an item as paths from the root: the main one first, then the others that it is found under as well.

Exports write them in many ways; each is read as what it says:

- one text, split into levels by the mapping's `separator`, into paths by its `between`;
- a list of texts: several paths where one of them holds the separator or the mapping says `lists = "paths"`, else the
  levels of one path;
- a list of lists, or of objects with a name: a path each;
- several fields: the levels of one path where there is no separator, else a path each.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from shopfuse.datasets.importing.mapping import Source
from shopfuse.datasets.importing.mapping_options import PATHS
from shopfuse.datasets.importing.source_rows import Row
from shopfuse.datasets.importing.values.field_values import BadValueError, as_text, present
from shopfuse.datasets.importing.values.markup import plain_text

MAX_PATHS: Final = 32
_NAMES: Final = ("name", "title", "label", "path", "value")  # of an object that is a category

CategoryPath = tuple[str, ...]


def category_paths(gets: Sequence[Callable[[Mapping[str, Any]], Any]], source: Source, row: Row) -> list[CategoryPath]:
    """The different paths of a row's item, the main one first. Raises BadValueError for what is no category."""
    values = [value for get in gets if (value := get(row)) is not None]
    if len(values) > 1 and not source.separator and not any(isinstance(value, list) for value in values):
        paths = [tuple(_levels(values, source))]
    else:
        paths = [path for value in values for path in _paths(value, source)]
    kept = (tuple(level for level in path if level) for path in paths)
    return list(dict.fromkeys(path for path in kept if path))[:MAX_PATHS]


def _paths(value: Any, source: Source) -> Iterator[CategoryPath]:
    if not isinstance(value, list):
        yield from _paths_of_text(_name(value), source)
        return
    texts = not any(isinstance(entry, list | dict) for entry in value)
    split = source.separator and texts and any(source.separator in _name(entry) for entry in value)
    if texts and not split and source.lists != PATHS:
        yield tuple(_levels(value, source))
        return
    for entry in value:
        if isinstance(entry, list):
            yield tuple(_levels(entry, source))
        else:
            yield from _paths_of_text(_name(entry), source)


def _paths_of_text(text: str, source: Source) -> Iterator[CategoryPath]:
    for path in _split(text, source.between) if source.between else [text]:
        path = path.strip().removeprefix(source.strip_prefix)
        yield tuple(level.strip() for level in (path.split(source.separator) if source.separator else [path]))


def _split(text: str, between: str) -> list[str]:
    """Split, but not where a backslash stands before (WooCommerce writes a comma in a name so)."""
    return [part.replace("\0", between) for part in text.replace("\\" + between, "\0").split(between)]


def _levels(values: list[Any], source: Source) -> Iterator[str]:
    for value in values:
        text = _name(value)
        yield from (level.strip() for level in (text.split(source.separator) if source.separator else [text]))


def _name(value: Any) -> str:
    """The text of a category, "" where it is a placeholder for none; of an object its name."""
    if isinstance(value, dict):
        value = next((value[name] for name in _NAMES if value.get(name) not in (None, "")), None)
        if value is None:
            raise BadValueError(f"expected an object with one of {', '.join(_NAMES)}", value)
    text = as_text(present(value)) or ""
    return plain_text(text) if "&" in text or "<" in text else text  # Home &gt; Garden
