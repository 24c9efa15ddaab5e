"""Groups that a mapping does not name: taken from a well-known attribute, or suggested, never guessed."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from shopfuse.datasets.importing.catalogue import import_catalogue
from shopfuse.datasets.importing.mapping import CatalogueMapping, Source
from shopfuse.datasets.importing.product_groups import likely_variants
from shopfuse.datasets.importing.report import ImportReport
from shopfuse.datasets.workspace import Workspace

SOURCES = {"id": Source(("id",)), "title": Source(("title",)), "brand": Source(("brand",))}
ATTRIBUTES = (Source(("attr_*",), strip_prefix="attr_"),)


def imported(tmp_path: Path, rows: list[dict[str, object]], **sources: Source) -> tuple[ImportReport, pl.DataFrame]:
    file = tmp_path / "shop.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    workspace = Workspace.open_or_create(tmp_path / "shop")
    report = import_catalogue(file, CatalogueMapping(SOURCES | sources, ATTRIBUTES), workspace)
    return report, workspace.items().collect()


@pytest.mark.parametrize("name", ["item_group_id", "Parent SKU", "groupId"])
def test_an_attribute_that_every_feed_calls_a_group_is_taken_and_told(tmp_path: Path, name: str) -> None:
    rows: list[dict[str, object]] = [
        {"id": f"m{size}", "title": f"Merino jumper {size}", f"attr_{name}": "merino", "attr_size": size}
        for size in ("S", "M")
    ]
    report, items = imported(tmp_path, [*rows, {"id": "k", "title": "Kettle"}])

    assert items["group_id"].to_list() == [None, "merino", "merino"]
    assert report.notes == {f"group_id taken from the attribute {name}, which the mapping does not call so": 2}
    assert items["attributes"].to_list()[1][0] == {"name": name, "value": "merino"}


def test_a_mapped_group_is_left_alone(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"id": "a", "title": "Mug", "family": "mugs", "attr_group_id": "other"}]
    report, items = imported(tmp_path, rows, group_id=Source(("family",)))

    assert items["group_id"].to_list() == ["mugs"] and not report.notes


def test_near_equal_titles_are_suggested_and_not_merged(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"id": "1", "title": "Tern rain jacket, navy, XL", "brand": "Tern"},
        {"id": "2", "title": "Tern rain jacket, green, 3XL", "brand": "tern"},
        {"id": "3", "title": "Tern rain jacket, navy, XL", "brand": "Other"},
        {"id": "4", "title": "Tern rain trousers, navy, XL", "brand": "Tern"},
        {"id": "5", "title": "Mug 300 ml", "brand": "Tern"},
        {"id": "6", "title": "Mug 500 ml", "brand": "Tern"},  # one word says too little
    ]
    report, items = imported(tmp_path, rows)

    [(note, count)] = report.notes.items()
    assert count == 2 and "1 products, such as 1, 2" in note and "group_id" in note
    assert items["group_id"].null_count() == len(rows)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Espresso beans dark roast 250 g", "Espresso beans dark roast 1 kg", True),
        ("Kissenbezug Leinen grau 40x40 cm", "Kissenbezug Leinen blau 50x50 cm", True),
        ("Chemise en lin bleue", "Chemise en lin blanche", True),
        ("Headphones WH1000XM4 wireless", "Headphones WH1000XM5 wireless", False),
        ("Green tea bags", "Black pepper whole", False),
        ("Wool socks short", "Wool socks long", False),
    ],
)
def test_what_tells_variants_apart(one: str, other: str, alike: bool) -> None:
    items = pl.LazyFrame(
        {"item_id": ["a", "b"], "title": [one, other], "brand": [None, None], "group_id": [None, None]},
        schema_overrides={"brand": pl.String, "group_id": pl.String},
    )

    assert (likely_variants(items) is not None) == alike


def test_grouped_items_are_not_suggested_again() -> None:
    items = pl.LazyFrame(
        {
            "item_id": ["a", "b"],
            "title": ["Linen shirt S", "Linen shirt M"],
            "brand": ["x", "x"],
            "group_id": ["g", "g"],
        }
    )

    assert likely_variants(items) is None


def test_the_same_catalogue_again_is_told_the_same(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"id": size, "title": f"Linen shirt {size}"} for size in ("S", "M")]
    first, _ = imported(tmp_path, rows)
    second, _ = imported(tmp_path, rows)

    assert second.unchanged == 2 and second.notes == first.notes != {}
