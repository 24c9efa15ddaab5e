"""The language of a catalogue, told from its titles, and written where nobody said it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from shopfuse.datasets.catalogue_language import recognise, with_language
from shopfuse.datasets.schema import ITEM_SCHEMA
from shopfuse.datasets.shop_settings import ShopSettings
from shopfuse.datasets.workspace import Workspace

TITLES = {
    "en": ("Waterproof hiking boots for men", "Cotton summer dress, blue", "Stainless steel bottle", "Wooden puzzle"),
    "de": (
        "Herren Wanderschuhe wasserdicht",
        "Trinkflasche aus Edelstahl",
        "Sommerkleid, blau",
        "Bürostuhl mit Rollen",
    ),
    "es": ("Botas de montaña impermeables", "Auriculares inalámbricos", "Vestido de algodón", "Silla de oficina"),
    "fr": ("Chaussures de randonnée femme", "Casque audio sans fil", "Robe d'été en coton", "Bouteille en inox"),
    "it": ("Scarponi da trekking uomo", "Cuffie senza fili", "Vestito estivo di cotone", "Sedia da ufficio"),
    "ru": ("Ботинки мужские зимние", "Беспроводные наушники", "Платье летнее", "Офисный стул"),
    "zh": ("男士跑步鞋 轻便", "无线蓝牙耳机", "保温杯", "连衣裙 夏季"),
}
FRENCH = (
    "Chaussures de randonnée pour femme",
    "Casque audio sans fil avec micro",
    "Robe d'été en coton bleue",
    "Bouteille en acier inoxydable pour enfants",
)
BRANDED = {
    "zh": ("Apple iPhone 15 Pro 256GB 手机", "Nike Air Max 跑鞋", "Sony WH-1000XM5 Wireless 耳机", "Logitech MX 鼠标"),
    "ar": ("سماعات Sony WH-1000XM5 لاسلكية", "حذاء Nike Air Max رجالي", "ساعة Apple Watch ذكية", "شاشة Dell كمبيوتر"),
}


def shop(folder: Path, titles: tuple[str, ...], settings: ShopSettings | None = None, brand: str = "") -> Workspace:
    workspace = Workspace.create(folder / "shop", settings)
    workspace.paths.catalogue.mkdir()
    rows = [
        {"item_id": f"i{at}", "title": title, "brand": brand, "available": True, "attributes": []}
        for at, title in enumerate(titles)
    ]
    pl.DataFrame(rows, ITEM_SCHEMA).write_parquet(workspace.paths.items)
    return workspace


@pytest.mark.parametrize("language", TITLES)
def test_the_language_of_short_titles_is_recognised(language: str) -> None:
    assert recognise(TITLES[language]).code == language


@pytest.mark.parametrize("language", BRANDED)
def test_latin_names_in_another_script_do_not_mislead(language: str) -> None:
    recognised = recognise(BRANDED[language])

    assert recognised.code == language
    assert recognised.counts == {language: len(BRANDED[language])}


def test_the_languages_of_a_mixed_catalogue_are_told_with_their_shares() -> None:
    recognised = recognise(TITLES["de"] * 3 + FRENCH)

    assert recognised.code == "de"
    assert recognised.counts == {"de": 12, "fr": 4}
    assert "recognised in 12 of 16 titles (also fr (French) 25%: each item is read by its own)" in recognised.line


def test_a_language_without_rules_is_named_and_counts_as_undetermined() -> None:
    recognised = recognise(("Buty trekkingowe męskie", "Słuchawki bezprzewodowe", "Sukienka letnia", "Krzesło biurowe"))

    assert recognised.code == "und"
    assert recognised.line.startswith("language pl recognised in 4 of 4 titles; its words have no rules here")


@pytest.mark.parametrize("titles", [("XK-22", "12 V", "A4 80g"), ("4711",), ("Redmi Note", "Galaxy", "Xperia")])
def test_names_and_numbers_tell_no_language(titles: tuple[str, ...]) -> None:
    recognised = recognise(titles)

    assert recognised.code == "und"
    assert "not recognised" in recognised.line


def test_it_is_written_to_the_settings_and_nothing_else_of_them_changes(tmp_path: Path) -> None:
    workspace = shop(tmp_path, TITLES["es"])
    path = workspace.paths.settings
    path.write_text('# ours\nname = "tienda"  # a name\n\n[repeat_purchases_by_category]\n"Bebida" = "auto"\n')
    before = path.read_text()

    known, recognised = with_language(Workspace.open(workspace.root))

    assert recognised is not None
    assert recognised.line == "language es (Spanish) recognised in 4 of 4 titles; written to shop.toml"
    assert path.read_text() == 'language = "es"\n' + before
    assert known.settings.language == "es"
    assert known.settings.name == "tienda"
    assert with_language(known) == (known, None)


def test_an_empty_setting_is_filled_in(tmp_path: Path) -> None:
    workspace = shop(tmp_path, TITLES["de"])
    workspace.paths.settings.write_text('name = "laden"\nlanguage = ""  # not known yet\n')

    with_language(Workspace.open(workspace.root))

    assert workspace.paths.settings.read_text() == 'name = "laden"\nlanguage = "de"  # not known yet\n'


def test_a_language_that_was_set_is_never_overwritten(tmp_path: Path) -> None:
    workspace = shop(tmp_path, TITLES["es"], ShopSettings(language="und"))
    before = workspace.paths.settings.read_text()

    assert with_language(workspace) == (workspace, None)
    assert workspace.paths.settings.read_text() == before


def test_a_brand_of_another_language_is_left_out(tmp_path: Path) -> None:
    titles = tuple(f"Die Kinder Schöne Welt {title}" for title in TITLES["en"])

    _, recognised = with_language(shop(tmp_path, titles, brand="Die Kinder Schöne Welt"))

    assert recognised is not None
    assert recognised.code == "en"
