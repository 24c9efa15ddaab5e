"""Rows of an XML feed (RSS, Atom, or a shop system's own), one for each product element, read as a stream by lxml.

Fields are the names of the elements inside, without their namespace; `g:title` wins over `title`. Elements inside those
make an object, repeated ones a list; attributes are fields too. Entities and document types are not read: a feed needs
none, and they can grow without bound.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, BinaryIO, Final

from lxml import etree

from shopfuse.datasets.importing.source_file import SourceFile, SourceFileError
from shopfuse.datasets.importing.source_rows import NumberedRow, Row

_ROWS: Final = ("item", "entry", "product", "offer", "shopitem", "article", "row", "record", "event", "review")
_GOOGLE: Final = "{http://base.google.com/ns/1.0}"
_MAX_NESTING: Final = 8


def xml_rows(source: SourceFile, stream: BinaryIO, encoding: str) -> Iterator[NumberedRow]:
    """Elements called as products usually are, outermost ones only, numbered from 1."""
    number, names = 0, set[str]()
    try:
        tags = [form for name in _ROWS for form in _spellings(name)]
        for _, element in etree.iterparse(
            stream,
            events=("end",),
            tag=tags,
            encoding=encoding or None,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        ):
            if not number and element.getroottree().docinfo.doctype:
                raise SourceFileError(f"{source.path}: holds a document type (<!DOCTYPE ...>), which is not read")
            if any(isinstance(above.tag, str) and above.tag in tags for above in element.iterancestors()):
                continue
            number += 1
            names.add(str(element.tag))
            yield number, _row(element)
            _forget(element)
    except etree.XMLSyntaxError as error:
        raise SourceFileError(f"{source.path}: not valid XML: {' '.join(str(error).split())[:200]}") from error
    except LookupError as error:
        raise SourceFileError(f"{source.path}: {error}") from error
    if not number:
        raise SourceFileError(f"{source.path}: expected elements called {', '.join(_ROWS)}; there is none")


def _spellings(name: str) -> Iterator[str]:
    for spelling in (name, name.upper(), name.capitalize()):
        yield spelling
        yield f"{{*}}{spelling}"


def _row(element: Any) -> Row:
    row = _fields(element, 0)
    return row if isinstance(row, dict) else {"value": row}


def _fields(element: Any, depth: int) -> Any:
    """An object where there are elements inside, else the text; the address of an Atom link."""
    children = [child for child in element if isinstance(child.tag, str)] if len(element) else []
    if not children or depth >= _MAX_NESTING:
        text = ("".join(element.itertext()) if len(element) else element.text or "").strip()
        return text or element.get("href", "") if depth else {"value": text, **element.attrib}
    fields: Row = {_local_name(name): value for name, value in element.attrib.items()}
    google = {_local_name(child.tag) for child in children if child.tag.startswith(_GOOGLE)}
    taken: set[str] = set()
    for child in children:
        name = _local_name(child.tag)
        if name in google and not child.tag.startswith(_GOOGLE):
            continue
        value = _fields(child, depth + 1)
        if name in taken:
            fields[name] = [*(fields[name] if isinstance(fields[name], list) else [fields[name]]), value]
        else:
            fields[name] = value
        taken.add(name)
    return fields


@lru_cache(1024)
def _local_name(tag: str) -> str:
    name: str = etree.QName(tag).localname
    return name


def _forget(element: Any) -> None:
    """Free the element and its elder siblings, which the parser would keep to the end."""
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]
