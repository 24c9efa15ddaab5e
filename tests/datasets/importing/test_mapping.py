"""Mapping files: the shipped examples read, every mistake is named by its key."""

from pathlib import Path

import pytest

from shopfuse.datasets.importing.mapping import MappingError, Source, read_catalogue_mapping, read_event_mapping

EXAMPLES = Path(__file__).parents[3] / "examples" / "mappings"
PRESETS = Path(__file__).parents[3] / "shopfuse" / "datasets" / "importing" / "formats" / "presets"


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "map.toml"
    path.write_text(text)
    return path


def test_shipped_examples_read() -> None:
    icecat = read_catalogue_mapping(EXAMPLES / "icecat.toml")
    ga4 = read_event_mapping(PRESETS / "ga4.toml")

    assert icecat.sources["price"] == Source(fields=("price",), scale=0.01)
    assert [a.strip_prefix for a in icecat.attributes] == ["attr_t_", "attr_t_", "attr_n_", "attr_b_"]
    assert read_catalogue_mapping(EXAMPLES / "products_csv.toml").file.delimiter == ","
    assert ga4.items_field == "items"
    assert ga4.sources["session_id"].fields == ("user_pseudo_id", "event_params.ga_session_id")
    assert read_event_mapping(EXAMPLES / "events_csv.toml").sources["position"].base == 1


ITEM = '[item]\nid = "id"\ntitle = "t"\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (ITEM + 'colour = "c"', r"unknown key 'item.colour' \(known: id, title, .*attributes\)"),
        (
            ITEM + '[items]\na = "b"',
            r"unknown key 'items' \(known: item, csv, encoding, sheet, lists, timezone, rows",
        ),
        (
            ITEM + 'price = { field = "p", scael = 2 }',
            r"unknown key 'item.price.scael' \(known: field, scale, decimal, lists\)",
        ),
        (ITEM + 'price = { field = "p", scale = "2" }', "item.price.scale: expected int or float, got '2'"),
        (ITEM + 'price = { field = "p", scale = true }', "item.price.scale: expected int or float"),
        (ITEM + 'price = { field = "p", scale = -1 }', "item.price.scale: expected a positive number"),
        (ITEM + 'price = { field = "p", decimal = "x" }', "item.price.decimal: expected '.' or ','"),
        (ITEM + "price = { scale = 2 }", "item.price: expected exactly one of field"),
        (ITEM + 'brand = { field = "b", value = "c" }', "item.brand: expected exactly one of field, fields, value"),
        (ITEM + "brand = 3", "item.brand: expected a field name or a table, got 3"),
        (ITEM + 'brand = ""', "item.brand.field: is empty"),
        (ITEM + "category = [1]", "item.category.fields: expected a list of field names"),
        (ITEM + 'published_at = { field = "d", format = "unix" }', "item.published_at.format: expected iso, s, ms, us"),
        (ITEM + 'attributes = "attr_*"', "item.attributes: expected a list"),
        (ITEM + 'attributes = [{ field = "a", prefix = "x" }]', r"unknown key 'item.attributes\[0\].prefix'"),
        (ITEM + '[csv]\ndelimiter = ";;"', "csv.delimiter: expected one character"),
        (ITEM + '[csv]\nquote = ";"', r"unknown key 'csv.quote' \(known: delimiter\)"),
        ('encoding = "klingon"\n' + ITEM, "encoding: expected one such as windows-1252, got 'klingon'"),
        ('encoding = "base64"\n' + ITEM, "encoding: expected one such as windows-1252"),
        ("sheet = 2\n" + ITEM, "sheet: expected the name of a sheet, got 2"),
        ('[item]\nid = "id"', "item.title is missing"),
        ("[event]", "unknown key 'event'"),
        ("", r"expected a table \[item\]"),
        ("[item", "not valid TOML"),
    ],
)
def test_wrong_catalogue_mapping_names_the_key(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(MappingError, match=problem) as caught:
        read_catalogue_mapping(_write(tmp_path, text))

    assert "map.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


EVENT = '[event]\nevent_name = "e"\ntimestamp = "t"\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (EVENT, "one of user_id and session_id is needed"),
        (EVENT + 'user_id = "u"\nuser = "x"', r"unknown key 'event.user' \(known: event_id, .*, items\)"),
        ('[event]\nevent_name = "e"\nuser_id = "u"', "event.timestamp is missing"),
        (
            '[event]\nevent_name = { field = "e", names = { click = "clicked" } }\ntimestamp = "t"\nuser_id = "u"',
            "event.event_name: expected one of view_item_list, .* got 'clicked'",
        ),
        (EVENT + 'user_id = "u"\nitems = "items"', "event.items: expected a table with a field"),
        (EVENT + 'user_id = "u"\n[event.items]\nfield = "items"', "event.items.item_id is missing"),
        (
            EVENT + 'user_id = "u"\n[event.items]\nfield = "i"\nitem_id = "i"\nname = "n"',
            "unknown key 'event.items.name'",
        ),
    ],
)
def test_wrong_event_mapping_names_the_key(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(MappingError, match=problem):
        read_event_mapping(_write(tmp_path, text))


def test_missing_mapping_is_named(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"nowhere\.toml: cannot read the mapping"):
        read_catalogue_mapping(tmp_path / "nowhere.toml")
