"""A file without a mapping: known formats are recognised and come out whole, for others a mapping is begun."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shopfuse.cli.main import app
from shopfuse.datasets.importing.catalogue import import_catalogue
from shopfuse.datasets.importing.events import import_events
from shopfuse.datasets.importing.formats.recognition import (
    EVENT,
    ITEM,
    catalogue_mapping_of,
    event_mapping_of,
    recognised,
    sample_of,
    suggestion,
    with_row_rules,
)
from shopfuse.datasets.importing.mapping import read_catalogue_mapping, read_event_mapping, read_review_mapping
from shopfuse.datasets.importing.report import ImportReport
from shopfuse.datasets.importing.source_file import SourceFileError
from shopfuse.datasets.workspace import Workspace
from tests.datasets.importing.import_files import PRESETS

MERCHANT = """id\ttitle\tlink\tprice\tavailability\tproduct type\tgoogle_product_category\titem group id\tcolor
A-1\tMug\thttps://s.example/a\t4.50\tin_stock\tKitchen > Mugs\tHome & Garden > Kitchen\tA\tblue
"""
FEED = """<rss xmlns:g="http://base.google.com/ns/1.0"><channel><item><g:id>A-1</g:id><g:title>Mug</g:title>
<link>https://s.example/a</link><g:price>4.50</g:price><g:availability>in_stock</g:availability>
<g:product_type>Kitchen &gt; Mugs</g:product_type><g:color>blue</g:color>
<g:google_product_category>Home &amp; Garden &gt; Kitchen</g:google_product_category>
<g:item_group_id>A</g:item_group_id></item></channel></rss>"""
SHOPIFY = """Handle,Title,Body (HTML),Vendor,Type,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src,Status
mug,Mug,Clay,Potter,Mugs,Glaze,Blue,M-B,4.50,https://s.example/b.jpg,active
mug,,,,,,Red,,4.90,https://s.example/r.jpg,
mug,,,,,,,,,https://s.example/side.jpg,
bowl,Bowl,,Potter,Bowls,Title,Default Title,,9,,active
old,Old,,Potter,Bowls,Title,Default Title,O-1,9,,archived
"""
WOO_HEAD = (
    "ID,Type,SKU,Name,Published,Description,In stock?,Regular price,Categories,Parent,"
    "Attribute 1 name,Attribute 1 value(s)\n"
)
WOO = """12,variation,M-B,Mug - Blue,1,,1,4.50,,id:11,Glaze,Blue
11,variable,MUG,Mug,1,Clay,1,,"Kitchen > Mugs, Gifts",,Glaze,"Blue, Red"
13,variation,,Mug - Red,1,,0,4.90,,MUG,Glaze,Red
14,simple,B,Bowl,1,,1,9,Kitchen,,,
15,simple,D,Draft,-1,,1,9,Kitchen,,,
"""
MAGENTO_HEAD = (
    "sku,store_view_code,product_type,name,description,price,categories,additional_attributes,"
    "configurable_variations,is_in_stock\n"
)
MAGENTO = """M-B,,simple,Mug Blue,,4.50,,"glaze=Blue,note=a,b",,1
M-B,de,simple,Becher Blau,,,,,,
MUG,,configurable,Mug,Clay,4.50,"Default Category/Kitchen/Mugs,Default Category/Gifts",,"sku=M-B,glaze=Blue",1
"""


def bring(file: Path, workspace: Workspace) -> ImportReport:
    found = recognised(file, ITEM, workspace.root.parent)
    return import_catalogue(file, catalogue_mapping_of(found), workspace)


@pytest.mark.parametrize(("name", "text"), [("feed.txt", MERCHANT), ("feed.xml", FEED)])
def test_merchant_feeds(tmp_path: Path, workspace: Workspace, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)

    report = bring(tmp_path / name, workspace)

    (item,) = workspace.items().collect().to_dicts()
    assert (item["item_id"], item["group_id"], item["price"], item["available"]) == ("A-1", "A", 4.5, True)
    assert (item["category"], item["other_categories"]) == (["Kitchen", "Mugs"], [["Home & Garden", "Kitchen"]])
    assert item["attributes"] == [{"name": "color", "value": "blue"}]
    assert report.warnings == ()


def test_shopify_variants_take_after_their_product_and_images_are_no_items(
    tmp_path: Path, workspace: Workspace
) -> None:
    (tmp_path / "s.csv").write_text(SHOPIFY)

    report = bring(tmp_path / "s.csv", workspace)

    items = workspace.items().collect().select("item_id", "group_id", "title", "description", "brand", "price")
    assert items.rows() == [
        ("M-B", "mug", "Mug", "Clay", "Potter", 4.5),
        ("bowl", "bowl", "Bowl", "", "Potter", 9.0),
        ("mug-Red", "mug", "Mug", "Clay", "Potter", 4.9),
    ]
    assert workspace.items().collect()["attributes"].to_list()[2] == [{"name": "Glaze", "value": "Red"}]
    assert report.rows == 3
    assert sorted(report.notes.items()) == [
        ("row is no item of its own: it has none of Variant SKU, Variant Price, Option1 Value", 1),
        ("row is no item to sell: Status is archived", 1),
    ]


def test_own_mapping_of_a_shopify_file_gives_products_or_whole_variants(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(SHOPIFY)
    for field, items in (("Handle", ["bowl", "mug"]), ("@variant", ["M-B", "bowl", "mug-Red"])):
        (tmp_path / "map.toml").write_text(f'[item]\nid = "{field}"\ntitle = "Title"\nprice = "Variant Price"\n')
        shop = Workspace.create(tmp_path / field.strip("@"))

        mapping = with_row_rules(read_catalogue_mapping(tmp_path / "map.toml"), tmp_path / "s.csv")
        report = import_catalogue(tmp_path / "s.csv", mapping, shop)

        assert (shop.items().collect()["item_id"].to_list(), report.rejected) == (items, 0)


@pytest.mark.parametrize(("name", "text"), [("w.csv", WOO_HEAD + WOO), ("m.csv", MAGENTO_HEAD + MAGENTO)])
def test_variants_find_their_product_wherever_it_stands(
    tmp_path: Path, workspace: Workspace, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)

    report = bring(tmp_path / name, workspace)

    variant = workspace.items().filter(item_id="M-B").collect().row(0, named=True)
    assert (variant["group_id"], variant["description"], variant["price"]) == ("MUG", "Clay", 4.5)
    assert (variant["category"], variant["other_categories"]) == (["Kitchen", "Mugs"], [["Gifts"]])
    assert {"name": "glaze", "value": "Blue"} in [
        {"name": pair["name"].casefold(), "value": pair["value"]} for pair in variant["attributes"]
    ]
    assert report.rejected == 0
    assert sum(report.notes.values()) + report.rows == text.count("\n") - 1


@pytest.mark.parametrize(
    ("head", "row", "price"),
    [
        (WOO_HEAD, "1,simple,A,Cup,1,,1,4.50,Kitchen,,,", 4.5),
        ("ID,Type,SKU,Name,Regular price,Categories,Sale price\n", "1,simple,A,Cup,4.50,Kitchen,3.90", 3.9),
        (
            "ID,Type,SKU,Name,Regular price,Categories,Sale price,Date sale price ends\n",
            "1,simple,A,Cup,4.50,Kitchen,3.90,2020-01-31 23:59:59",
            4.5,
        ),
        (MAGENTO_HEAD.replace("price", "price,special_price"), "A,,simple,Cup,,4.50,3.90,,,,1", 3.9),
        (
            MAGENTO_HEAD.replace("price", "price,special_price,special_price_from_date,special_price_to_date"),
            "A,,simple,Cup,,4.50,3.90,1/5/19,1/31/20,,,,1",
            4.5,
        ),
        (
            MAGENTO_HEAD.replace("price", "price,special_price,special_price_from_date"),
            "A,,simple,Cup,,4.50,3.90,2020-01-31 00:00:00,,,,1",
            3.9,
        ),
        (
            MAGENTO_HEAD.replace("price", "price,special_price,special_price_from_date,special_price_to_date"),
            "A,,simple,Cup,,4.50,3.90,5.1.19,31.01.20,,,,1",  # an admin in German
            4.5,
        ),
        (
            MAGENTO_HEAD.replace("price", "price,special_price,special_price_from_date,special_price_to_date"),
            "A,,simple,Cup,,4.50,3.90,13/01/2019,31/01/2020,,,,1",  # in British English
            4.5,
        ),
        ("id,title,link,price,sale_price,sale_price_effective_date\n", "A,Cup,,4.50 EUR,3.90 EUR,", 3.9),
        (
            "id,title,link,price,sale_price,sale_price_effective_date\n",
            "A,Cup,,4.50 EUR,3.90 EUR,2020-01-01T09:00-0800/2020-01-31T23:59-0800",
            4.5,
        ),
        ("Handle,Title,Variant SKU,Variant Price,Variant Compare At Price\n", "cup,Cup,A,3.90,4.50", 3.9),
    ],
)
def test_price_of_an_item_is_what_is_paid_today(
    tmp_path: Path, workspace: Workspace, head: str, row: str, price: float
) -> None:
    (tmp_path / "p.csv").write_text(head + row + "\n")

    report = bring(tmp_path / "p.csv", workspace)

    assert workspace.items().select("item_id", "price").collect().row(0)[1] == price
    assert (report.warnings, report.left_out) == ((), ())


def test_user_behaviour_insights(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "q.jsonl").write_text(
        '{"query_id": "q1", "client_id": "c1", "user_query": "mug", "timestamp": 1764547200000}\n'
    )
    (tmp_path / "e.jsonl").write_text(
        '{"action_name": "click", "client_id": "c1", "query_id": "q1", "timestamp": "2025-12-01T00:00:05Z", '
        '"event_attributes": {"object": {"object_id": "M-B"}, "position": {"ordinal": 3}}}\n'
    )

    for name in ("q.jsonl", "e.jsonl"):
        found = recognised(tmp_path / name, EVENT, tmp_path)
        import_events(tmp_path / name, event_mapping_of(found), workspace)

    rows = workspace.events().select("event_name", "user_id", "request_id", "query", "item_id", "position").collect()
    assert rows.rows() == [("search", "c1", "q1", "mug", None, None), ("select_item", "c1", "q1", None, "M-B", 3)]


def test_unknown_format_shows_its_columns_and_the_way_on(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("Artikelnummer;c2\n1;Tasse\n")

    with pytest.raises(SourceFileError, match=r"its columns are Artikelnummer, c2; .*catalog p\.csv --suggest"):
        recognised(tmp_path / "p.csv", ITEM, tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "\ufeffArtikel-Nr.;Bezeichnung;Preis;Bestand;Farbe;Lagerplatz\nT/1;Tasse;2,50 €;0;blau;A7\n",
            {"item_id": "T/1", "title": "Tasse", "price": 2.5, "currency": "EUR", "available": False},
        ),
        ("sku\tname\tprice\tcolor\nT/1\tTasse\t2.50\tblau\n", {"item_id": "T/1", "title": "Tasse", "price": 2.5}),
        ('[{"id": "T/1", "title": "Tasse", "color": "blau"}]', {"item_id": "T/1", "title": "Tasse", "price": None}),
        (
            "<rss xmlns:g='http://base.google.com/ns/1.0'><channel><item><g:id>T/1</g:id><title>Tasse</title>"
            "<g:price>2.50 EUR</g:price><g:color>blau</g:color></item></channel></rss>",
            {"item_id": "T/1", "title": "Tasse", "price": 2.5, "currency": "EUR"},
        ),
    ],
)
def test_columns_with_usual_names_need_no_mapping(
    tmp_path: Path, workspace: Workspace, text: str, expected: dict[str, object]
) -> None:
    (tmp_path / "p").write_text(text)

    bring(tmp_path / "p", workspace)

    (item,) = workspace.items().collect().to_dicts()
    assert {name: item[name] for name in expected} == expected
    assert [entry["value"] for entry in item["attributes"]] == ["blau"]


def test_what_nothing_is_read_from_is_told(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id,title,shelf\n1,Mug,A7\n")

    done = CliRunner().invoke(app, ["import", "catalog", str(tmp_path / "p.csv"), "-w", str(tmp_path / "shop")])

    assert done.exit_code == 0
    assert "columns by their names" in done.output and "not used: shelf" in done.output


def test_variants_of_products_json_are_items_of_their_product(tmp_path: Path, workspace: Workspace) -> None:
    red = {"id": 11, "title": "Red", "sku": "M-R", "price": "9.50", "inventory_quantity": 3}
    blue = {"id": 12, "title": "Blue", "sku": "M-B", "price": "9.75", "inventory_quantity": 0}
    only = {"id": 21, "title": "Default Title", "sku": "B", "price": "19.00", "available": True}
    shared = {"body_html": "<p>Clay</p>", "vendor": "Potter", "product_type": "Kitchen"}
    products = [{"id": 1, "title": "Mug", "variants": [red, blue]}, {"id": 2, "title": "Bowl", "variants": [only]}]
    (tmp_path / "p.json").write_text(json.dumps({"products": [product | shared for product in products]}))

    bring(tmp_path / "p.json", workspace)

    items = workspace.items().select("item_id", "group_id", "title", "price", "available").collect()
    assert sorted(items.rows()) == [
        ("11", "1", "Mug Red", 9.5, True),
        ("12", "1", "Mug Blue", 9.75, False),
        ("21", "2", "Bowl", 19.0, True),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Artikelnummer;Bezeichnung;Beschreibung;Preis;Kategorie;Hersteller\n1;Tasse;Ton;2,50;Küche/Tassen;Töpfer\n",
            {"id": "Artikelnummer", "title": "Bezeichnung", "price": "Preis", "brand": "Hersteller"},
        ),
        ("référence,nom,prix,marque\n1,Tasse,2.50,Potier\n", {"id": "référence", "title": "nom", "price": "prix"}),
        ("c1,c2,c3\nx-1,Blue mug of clay,2.50\nx-2,Red mug,3.90\n", {"id": "c1", "title": "c2", "price": "c3"}),
        ('{"id": 1, "title": "Mug", "variants": [{"price": "2.50"}]}\n', {"id": "id", "price": "variants.price"}),
    ],
)
def test_suggestion_is_a_mapping_that_reads(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    (tmp_path / "p").write_text(text)

    (tmp_path / "map.toml").write_text(suggestion(sample_of(tmp_path / "p", tmp_path), ITEM))

    sources = read_catalogue_mapping(tmp_path / "map.toml").sources
    assert {key: sources[key].fields[0] for key in expected} == expected


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_preset_is_a_mapping(path: Path) -> None:
    readers = (("[event]", read_event_mapping), ("[review]", read_review_mapping), ("[item]", read_catalogue_mapping))
    (read,) = (read for section, read in readers if section in path.read_text())

    assert read(path).sources


def test_command_tells_what_it_recognised_and_suggests(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(SHOPIFY)
    shop = str(tmp_path / "shop")

    done = CliRunner().invoke(app, ["import", "catalog", str(tmp_path / "s.csv"), "-w", shop])
    suggested = CliRunner().invoke(app, ["import", "catalog", str(tmp_path / "s.csv"), "-w", shop, "--suggest"])

    assert (done.exit_code, suggested.exit_code) == (0, 0)
    assert "Shopify products" in done.output
    assert "3 rows in" in done.output
    assert "# s.csv: CSV, separated by commas, utf-8; recognised as: Shopify products" in suggested.output
