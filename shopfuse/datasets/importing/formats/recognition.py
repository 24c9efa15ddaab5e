"""Which mapping a file needs that comes without one: a preset whose columns it has, or the names that columns usually
have, or else a best guess to be edited.

Presets are the TOML files in presets/: mappings with a `name`, and the columns that a file is `recognised_by`. Names
are compared without case, spaces, underscores and Google's `g:`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from shopfuse.datasets.importing.formats.field_guesses import guessed_fields, named_fields, shown_time_format
from shopfuse.datasets.importing.mapping import (
    CatalogueMapping,
    EventMapping,
    ReviewMapping,
    catalogue_mapping,
    event_mapping,
    read_document,
    review_mapping,
)
from shopfuse.datasets.importing.mapping_options import TIMES
from shopfuse.datasets.importing.readers.tables import NOTHING_SAID, SourceTable, open_table
from shopfuse.datasets.importing.rows.variant_rows import NO_RULES
from shopfuse.datasets.importing.source_file import SourceFileError, open_source
from shopfuse.datasets.importing.source_rows import Row
from shopfuse.datasets.importing.values.field_values import getter

PRESETS: Final = Path(__file__).parent / "presets"
ITEM, EVENT, REVIEW = "item", "event", "review"
COMMANDS: Final = {ITEM: "catalog", EVENT: "events", REVIEW: "reviews"}
_SAMPLE: Final = 200  # rows
_NEEDED: Final = {ITEM: ("id", "title"), EVENT: ("event_name", "timestamp"), REVIEW: ("item_id", "rating", "text")}


@dataclass(frozen=True, slots=True)
class FirstRows:
    """The first rows of a file."""

    table: SourceTable
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def example(self, field: str) -> str:
        """The first value of a field that is not empty, as one short line."""
        value = next((row[field] for row in self.rows if row.get(field) not in (None, "", [], {})), "")
        return " ".join((value if isinstance(value, str) else json.dumps(value, default=str)).split())[:60]


@dataclass(frozen=True, slots=True)
class Recognised:
    """A mapping for one file; `name` is that of its preset, or says how else it was found."""

    name: str
    document: Mapping[str, Any]
    sample: FirstRows

    @property
    def fields(self) -> dict[str, str]:
        """Our fields and what they are read from, for people."""
        (section,) = (name for name in COMMANDS if name in self.document)
        return {key: _told(entry) for key, entry in self.document[section].items()}

    @property
    def unused(self) -> tuple[str, ...]:
        """The columns that nothing is read from."""
        return _unused(self.sample.columns, self.document)

    def example(self, told: str) -> str:
        """A value that the file has for what `fields` tells."""
        return next((text for name in told.split(", ") if (text := self.sample.example(name.split(".")[0]))), "")


def sample_of(file: Path, scratch: Path) -> FirstRows:
    """Read the first rows; SourceFileError where there is none."""
    sample = _sample(open_table(open_source(file), NOTHING_SAID, scratch), scratch)
    if not sample.columns:
        raise SourceFileError(f"{file}: has no rows whose fields could be recognised")
    return sample


def _sample(table: SourceTable, scratch: Path) -> FirstRows:
    rows = (row for _, row in table.rows(lambda _name: True, scratch) if isinstance(row, dict))
    first = tuple(islice(rows, _SAMPLE))
    columns = table.columns if table.columns is not None else dict.fromkeys(name for row in first for name in row)
    return FirstRows(table, tuple(columns), first)


def recognise(sample: FirstRows, section: str) -> Recognised | None:
    """The preset that names most of the file's columns, fitted to it; None where none fits."""
    known = {_plain(name): name for name in reversed(sample.columns)}
    best: tuple[int, Recognised] | None = None
    for path in sorted(PRESETS.glob("*.toml")):
        preset = read_document(path)
        wanted = [_plain(name) for name in preset["recognised_by"]]
        if section in preset and all(name in known for name in wanted) and (best is None or len(wanted) > best[0]):
            best = len(wanted), Recognised(preset["name"], _fitted(preset, section, known, sample), sample)
    return best[1] if best else None


def recognised(file: Path, section: str, scratch: Path) -> Recognised:
    """The mapping of a file that is recognised; SourceFileError with its columns otherwise."""
    sample = sample_of(file, scratch)
    found = recognise(sample, section) or (_by_names(sample) if section == ITEM else None)
    if found is None:
        columns = ", ".join(sample.columns)[:400]
        raise SourceFileError(
            f"{file}: no format that is known: its columns are {columns}; name them in a mapping (--mapping), which "
            f"'shopfuse import {COMMANDS[section]} {file.name} --suggest > map.toml' begins"
        )
    return found


def _by_names(sample: FirstRows) -> Recognised | None:
    """A catalogue of no program in particular, whose columns are called what others call them; None without the needed.
    Of events and reviews the names do not tell enough: which word is a purchase, and of how many stars."""
    fields = named_fields(sample.columns, sample.rows, ITEM)
    if not all(name in fields for name in _NEEDED[ITEM]):
        return None
    timed = {key: _timed(entry, sample) if key in TIMES else entry for key, entry in fields.items()}
    return Recognised("columns by their names", {ITEM: timed}, sample)


def suggestion(sample: FirstRows, section: str) -> str:
    """A mapping to be edited, as TOML: the recognised one, or what names and values of the columns suggest."""
    found = recognise(sample, section)
    fields = dict(found.document[section]) if found else guessed_fields(sample.columns, sample.rows, section)
    head = f"recognised as: {found.name}" if found else "a guess from the names and values of the columns: look it over"
    lines = [f"# {sample.table.source.path.name}: {sample.table.described}; {head}", ""]
    if found and "rows" in found.document:
        lines += ["[rows]", *(f"{_key(key)} = {_toml(value)}" for key, value in found.document["rows"].items()), ""]
    lines.append(f"[{section}]")
    for key, entry in fields.items():
        entry = _timed(entry, sample) if key in TIMES else entry
        lines.append(f"{_key(key)} = {_toml(entry)}{_comment(entry, sample)}")
    lines += [f"# {key} = ...  # is needed" for key in _NEEDED[section] if key not in fields]
    if left := _unused(sample.columns, found.document if found else fields):
        lines += ["", "# Columns that are not used:", *(f"#   {name}: {sample.example(name)}" for name in left)]
    return "\n".join(lines) + "\n"


def catalogue_mapping_of(found: Recognised) -> CatalogueMapping:
    return catalogue_mapping(found.document, PRESETS / found.name)


def event_mapping_of(found: Recognised) -> EventMapping:
    return event_mapping(found.document, PRESETS / found.name)


def review_mapping_of(found: Recognised) -> ReviewMapping:
    return review_mapping(found.document, PRESETS / found.name)


def with_row_rules(mapping: CatalogueMapping, file: Path) -> CatalogueMapping:
    """The mapping with the row rules of the file's own format, where it says none itself: how rows belong together is
    a matter of who wrote them. Rows of a product whose id is the product's own are then one item."""
    if mapping.rows != NO_RULES:
        return mapping
    with TemporaryDirectory() as scratch:
        table = open_table(open_source(file), mapping.file, Path(scratch))
        found = recognise(_sample(table, Path(scratch)), ITEM)
    rules = catalogue_mapping_of(found).rows if found else NO_RULES
    return replace(mapping, rows=replace(rules, first_only=mapping.sources["id"].fields == (rules.product,)))


def _fitted(preset: Mapping[str, Any], section: str, known: Mapping[str, str], sample: FirstRows) -> dict[str, Any]:
    """The preset with the names as the file spells them, without what it lacks."""
    table: dict[str, Any] = {}
    for key, entry in preset[section].items():
        if key == "attributes":
            table[key] = [name for name in (_fit(one, known) for one in entry) if name is not None]
        elif (fitted := _fit(entry, known)) is not None:
            table[key] = _timed(fitted, sample) if key in TIMES else fitted
    return {name: value for name, value in preset.items() if name != section} | {section: table}


def _fit(entry: Any, known: Mapping[str, str]) -> Any:
    if isinstance(entry, str):
        root, dot, rest = entry.partition(".")
        if entry[0] == "@" or _plain(entry) in known:
            return known.get(_plain(entry), entry)
        return f"{known[_plain(root)]}{dot}{rest}" if dot and _plain(root) in known else None
    if isinstance(entry, list):
        return [name for name in (_fit(one, known) for one in entry) if name is not None] or None
    fitted = dict(entry)
    for option in ("field", "fields"):
        if option in entry:
            fitted[option] = _fit(entry[option], known)
            if fitted[option] is None:
                return None
    return fitted


def _timed(entry: Any, sample: FirstRows) -> Any:
    """The entry of a time with the format that its values show; as it is where they show none."""
    options = {"field": entry} if isinstance(entry, str) else dict(entry)
    get = getter(str(options.get("field")))
    shown = shown_time_format([str(value) for row in sample.rows if (value := get(row)) not in (None, "")])
    return options | {"format": shown} if shown and shown != options.get("format", "iso") else entry


def _unused(columns: tuple[str, ...], document: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that a document names nowhere, not even as the root of a path."""
    used = {root for name in _texts(document) for root in (name, name.split(".")[0])}
    return tuple(name for name in columns if name not in used)


def _texts(value: Any) -> Iterator[str]:
    """All texts in a document, its keys among them."""
    if isinstance(value, Mapping):
        yield from (text for pair in value.items() for one in pair for text in _texts(one))
    elif isinstance(value, list | tuple):
        yield from (text for one in value for text in _texts(one))
    elif isinstance(value, str):
        yield value


def _plain(name: str) -> str:
    return re.sub(r"[\s_]+", "", name.casefold().removeprefix("g:"))


def _told(entry: Any) -> str:
    if isinstance(entry, dict):
        names = entry.get("fields") or [entry.get("field", "")]
        return f'"{entry["value"]}"' if "value" in entry else ", ".join(names)
    return ", ".join(map(_told, entry)) if isinstance(entry, list) else str(entry)


def _comment(entry: Any, sample: FirstRows) -> str:
    names = [name.strip() for name in _told(entry).split(", ")]
    example = next((text for name in names if (text := sample.example(name.split(".")[0]))), "")
    return f"  # {example}" if example else ""


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
