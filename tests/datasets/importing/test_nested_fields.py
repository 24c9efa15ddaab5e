"""Lists in rows, several categories of an item, and fields that no row has."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shopfuse.datasets.importing.catalogue import import_catalogue
from shopfuse.datasets.importing.mapping import MappingError, read_catalogue_mapping
from shopfuse.datasets.importing.report import ImportReport
from shopfuse.datasets.workspace import Workspace
from shopfuse.recall.facets import facet_key, item_facets
from shopfuse.training.data.catalogue import catalogue_items
from tests.datasets.importing.import_files import read_jsonl, write_jsonl

LAMP = {
    "id": 7,
    "name": "Lamp",
    "offers": [{"sku": "L-1", "cost": None}, {"sku": "L-2", "cost": 12.5, "info": [{"size": "m"}]}],
    "labels": ["new", "led"],
}
Import = Callable[[str, list[dict[str, Any]]], ImportReport]


@pytest.fixture
def bring(tmp_path: Path, workspace: Workspace) -> Import:
    def bring(mapping: str, rows: list[dict[str, Any]]) -> ImportReport:
        (tmp_path / "map.toml").write_text(mapping)
        file = write_jsonl(tmp_path / "p.jsonl", rows)
        return import_catalogue(file, read_catalogue_mapping(tmp_path / "map.toml"), workspace)

    return bring


@pytest.mark.parametrize(
    ("source", "price"), [('"offers.cost"', 12.5), ('{ field = "offers.cost", lists = "first" }', 12.5)]
)
def test_first_value_of_a_list_that_is_not_empty(
    bring: Import, workspace: Workspace, source: str, price: float
) -> None:
    report = bring(f'[item]\nid="id"\ntitle="name"\nprice={source}\nbrand="labels"\nsku="offers.info.size"', [LAMP])

    (item,) = workspace.items().collect().to_dicts()
    assert (item["price"], item["brand"], item["sku"]) == (price, "new", "m")
    assert report.warnings == ()


def test_join_makes_one_text_and_is_a_default_of_the_file_too(bring: Import, workspace: Workspace) -> None:
    bring(
        'lists="join"\n[item]\nid="id"\ntitle="name"\ndescription="labels"\nsku={field="offers.sku",lists="first"}',
        [LAMP],
    )

    assert workspace.items().collect().select("description", "sku").rows() == [("new, led", "L-1")]


def test_explode_makes_an_item_of_each_entry(bring: Import, workspace: Workspace) -> None:
    mapping = 'lists="explode"\n[item]\nid="offers.sku"\ntitle="name"\nprice="offers.cost"\ngroup_id="id"'
    twice = {"id": 8, "name": "Bulb", "offers": [{"sku": "B"}, {"sku": "B"}]}

    report = bring(mapping, [LAMP, twice, {"id": 9, "name": "No offer", "offers": []}])

    items = workspace.items().collect().select("item_id", "title", "price", "group_id").rows()
    assert items == [("B", "Bulb", None, "8"), ("L-1", "Lamp", None, "7"), ("L-2", "Lamp", 12.5, "7")]
    assert (report.rows, report.added, report.rejected) == (5, 3, 2)
    assert [entry["problem"] for entry in read_jsonl(workspace.paths.catalogue_rejects)] == [
        "an earlier entry of the same list has this id",
        "is missing",
    ]


def test_two_lists_cannot_be_exploded(bring: Import, workspace: Workspace) -> None:
    row = {"name": "Lamp", "a": [{"id": 1}], "b": [{"cost": 2}]}
    mapping = 'lists="explode"\n[item]\nid="a.id"\ntitle="name"\nprice="b.cost"'

    bring(mapping, [row, {"name": "Good", "a": [{"id": 2}], "b": {"cost": 2}}])

    (rejection,) = read_jsonl(workspace.paths.catalogue_rejects)
    assert rejection["problem"] == "only one list can be exploded, but the mapping's fields lie in a, b"


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        ('lists="all"\n[item]\nid="a"\ntitle="t"', "lists: expected one of first, join, explode, got 'all'"),
        ('[item]\nid="a"\ntitle="t"\nprice={field="p",lists="paths"}', "item.price.lists: expected one of first, join"),
        ('[item]\nid="a"\ntitle="t"\ncategory={field="p",lists="join"}', "item.category.lists: expected one of levels"),
        ('[item]\nid="a"\ntitle="t"\nsku={field="v.p",lists="explode"}', "so item.id needs it too"),
        ('[item]\nid="a"\ntitle={field="t",lists=2}', "item.title.lists: expected str, got 2"),
    ],
)
def test_wrong_word_for_lists_is_named(bring: Import, mapping: str, problem: str) -> None:
    with pytest.raises(MappingError, match=problem):
        bring(mapping, [LAMP])


@pytest.mark.parametrize(
    ("source", "value", "paths"),
    [
        ('{field="c",separator="/"}', "Home/Tables", [["Home", "Tables"]]),
        (
            '{field="c",separator=">",between=","}',
            "Home > Tables, Sale\\, old > Oak",
            [["Home", "Tables"], ["Sale, old", "Oak"]],
        ),
        ('{field="c",separator=">"}', ["Home > Tables", "Sale", "Home > Tables"], [["Home", "Tables"], ["Sale"]]),
        ('{field="c",separator=">"}', ["Home", "Tables"], [["Home", "Tables"]]),
        ('{field="c",lists="paths"}', ["Home", "Tables"], [["Home"], ["Tables"]]),
        ('"c"', [["Home", " Tables "], [], ["Sale"]], [["Home", "Tables"], ["Sale"]]),
        ('"c"', [{"id": 4, "name": "Home"}, {"title": "Sale"}], [["Home"], ["Sale"]]),
        ('{field="c",separator=" / "}', [{"path": "Home / Tables"}], [["Home", "Tables"]]),
        ('{field="c.name",lists="paths"}', [{"name": "Home"}, {"name": "Sale"}], [["Home"], ["Sale"]]),
        ('["c", "d"]', "Home", [["Home", "more"]]),
        ('{fields=["c", "d"],separator=">"}', "Home > Tables", [["Home", "Tables"], ["more"]]),
        ('"c"', None, [[]]),
        ('"c"', [], [[]]),
    ],
)
def test_every_way_to_write_categories(
    bring: Import, workspace: Workspace, source: str, value: object, paths: list[list[str]]
) -> None:
    bring(f'[item]\nid="id"\ntitle="name"\ncategory={source}', [LAMP | {"c": value, "d": "more"}])

    (item,) = workspace.items().collect().to_dicts()
    assert [item["category"], *item["other_categories"]] == paths


def test_category_without_a_name_is_a_problem_of_its_row(bring: Import, workspace: Workspace) -> None:
    bring('[item]\nid="id"\ntitle="name"\ncategory="c"', [LAMP | {"c": [{"id": 4}]}, LAMP | {"id": 8, "c": None}])

    (rejection,) = read_jsonl(workspace.paths.catalogue_rejects)
    assert rejection["problem"] == "expected an object with one of name, title, label, path, value"


def test_filters_find_an_item_under_each_of_its_categories(bring: Import, workspace: Workspace) -> None:
    bring(
        '[item]\nid="id"\ntitle="name"\ncategory={field="c",separator=">"}',
        [LAMP | {"c": ["Home > Lamps", "Sale > Led"]}],
    )

    (item,) = catalogue_items(workspace.items().collect())
    expected = {facet_key("category", path) for path in ("Home", "Home > Lamps", "Sale", "Sale > Led")}
    assert expected == set(item_facets(item))
    assert item.category == ("Home", "Lamps")


def test_field_that_no_row_has_is_a_warning(bring: Import, tmp_path: Path, workspace: Workspace) -> None:
    mapping = '[item]\nid="id"\ntitle="name"\nprice="offers.prise"\nbrand={value="x"}\ngtin="ean"'
    warnings = ("price: field 'offers.prise' in none of 2 rows", "gtin: field 'ean' in none of 2 rows")

    assert bring(mapping, [LAMP, LAMP | {"id": 8}]).warnings == warnings
    (tmp_path / "p.csv").write_text("id,name,ean\n1,Lamp,\n2,Bulb,\n")
    fields = read_catalogue_mapping(tmp_path / "map.toml")
    assert import_catalogue(tmp_path / "p.csv", fields, workspace).warnings == warnings


@pytest.mark.parametrize(
    ("category", "paths"),
    [
        (["Home &gt; Mugs", "(not set)", "Sale"], [["Home", "Mugs"], ["Sale"]]),
        ([["Home &amp; Garden", "N/A"], ["null"]], [["Home & Garden"]]),
        ([{"name": "-"}, {"name": "<b>Mugs</b>"}], [["Mugs"]]),
        ("(not set)", []),
    ],
)
def test_categories_are_plain_texts_and_placeholders_are_none(
    bring: Import, workspace: Workspace, category: object, paths: list[list[str]]
) -> None:
    bring('[item]\nid="id"\ntitle="name"\ncategory={field="cat",separator=">"}', [LAMP | {"cat": category}])

    item = workspace.items().collect().row(0, named=True)
    assert [path for path in [item["category"], *item["other_categories"]] if path] == paths


def test_first_of_several_values_is_none_that_stands_for_nothing(bring: Import, workspace: Workspace) -> None:
    bring('[item]\nid="id"\ntitle="name"\nbrand="makers"', [LAMP | {"makers": ["", "N/A", "Acme"]}])

    assert workspace.items().collect()["brand"].to_list() == ["Acme"]
