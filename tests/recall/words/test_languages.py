# ruff: noqa: RUF001  (full-width characters are what some tests are about)
"""Words by language: stems of Latin scripts, Chinese segmentation, and the record of both beside the index."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from shopfuse.datasets.importing.catalogue import import_catalogue
from shopfuse.datasets.importing.mapping import read_catalogue_mapping
from shopfuse.datasets.shop_settings import ShopSettings, ShopSettingsError
from shopfuse.datasets.workspace import Workspace
from shopfuse.ranking.filter import ItemFilter
from shopfuse.ranking.item import CatalogueItem
from shopfuse.ranking.languages import LANGUAGES
from shopfuse.ranking.text import normalise_query
from shopfuse.recall.item_table import ItemTable, build_item_table
from shopfuse.recall.lexical import LexicalIndex, build_lexical
from shopfuse.recall.words.analysis import Analyser
from shopfuse.recall.words.knowledge import ANALYSER
from shopfuse.release.manifest import ReleaseError
from shopfuse.training.data.catalogue import catalogue_items

TITLES = (
    ("p1", "索尼WH-1000XM4无线蓝牙耳机，降噪", "索尼", "数码"),
    ("p2", "Apple iPhone 15 Pro 透明手机壳", "Apple", "手机配件"),
    ("p3", "三星固态硬盘 ＳＳＤ 1TB", "三星", "数码"),
    ("p4", "保温杯500毫升 不锈钢", "膳魔师", "家居"),
    ("p5", "有线耳机 3.5mm 入耳式", "小米", "数码"),
    ("p6", "儿童运动鞋 男", "安踏", "鞋靴"),
    ("p7", "華為手機 Mate 60", "華為", "手机"),
)


@pytest.fixture(scope="module")
def chinese(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A Chinese shop as a workspace holds it after an import."""
    folder = tmp_path_factory.mktemp("zh")
    pl.DataFrame(TITLES, schema=["id", "title", "brand", "category"], orient="row").write_csv(folder / "products.csv")
    mapping = folder / "mapping.toml"
    mapping.write_text('[item]\nid = "id"\ntitle = "title"\nbrand = "brand"\ncategory = "category"\n')
    workspace = Workspace.create(folder / "shop", ShopSettings(language="zh"))
    import_catalogue(folder / "products.csv", read_catalogue_mapping(mapping), workspace)
    return workspace


@pytest.fixture(scope="module")
def items(chinese: Workspace) -> list[CatalogueItem]:
    return list(catalogue_items(chinese.items().collect()))


@pytest.fixture(scope="module")
def index(chinese: Workspace, items: list[CatalogueItem], tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    folder = tmp_path_factory.mktemp("lexical")
    build_lexical(folder, items, chinese.settings.language)
    return LexicalIndex.open(folder)


def words(analyser: Analyser, query: str) -> set[str]:
    return {analyser.stem(word) for word in analyser.surface(query)}


def hits(index: LexicalIndex, query: str) -> list[str]:
    return [TITLES[row][0] for row in index.search(normalise_query(query), 10).rows]


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("无线耳机", "p1"),
        ("耳机 有线", "p5"),
        ("iPhone手机壳", "p2"),
        ("壳", "p2"),
        ("鞋", "p6"),
        ("ｓｓｄ　１ｔｂ", "p3"),
        ("1000GB固态硬盘", "p3"),
        ("500ml保温杯！", "p4"),
        ("wh-1000xm4", "p1"),
        ("華為", "p7"),
        ("儿童鞋", "p6"),
    ],
)
def test_a_chinese_query_finds_its_product_first(index: LexicalIndex, query: str, best: str) -> None:
    assert hits(index, query)[0] == best


def test_the_import_keeps_chinese_text_as_it_was_written(items: list[CatalogueItem]) -> None:
    assert [(item.item_id, item.title, item.brand, item.category) for item in items] == [
        (item_id, title, brand, (category,)) for item_id, title, brand, category in TITLES
    ]


@pytest.mark.parametrize(("query", "best"), [("华为", "p7"), ("華為", "p7"), ("運動鞋", "p6"), ("藍牙耳機", "p1")])
def test_traditional_and_simplified_characters_are_the_same(index: LexicalIndex, query: str, best: str) -> None:
    assert hits(index, query)[0] == best


def test_a_longer_query_is_covered_by_the_items_that_hold_its_words(index: LexicalIndex) -> None:
    rows = index.search("无线耳机", 10).rows
    coverage = index.coverage("无线耳机", rows)

    assert TITLES[rows[0]][0] == "p1"
    assert coverage[0] == pytest.approx(1.0)
    assert (coverage[1:] < 0.9).all()


def test_chinese_filters_narrow_a_search(index: LexicalIndex, items: list[CatalogueItem], tmp_path: Path) -> None:
    build_item_table(tmp_path, items)
    selection = ItemTable.open(tmp_path).select(ItemFilter(brands=("小米",), categories=("数码",)))

    assert [TITLES[row][0] for row in index.search("无线耳机", 10, selection).rows] == ["p5"]


@pytest.mark.parametrize(
    ("language", "item", "query"),
    [
        ("en", "wireless headphones", "headphone wireless"),
        ("de", "Bücher über Kopfhörer", "buch kopfhorern"),
        ("de-AT", "Rote Laufschuhe", "roter laufschuh"),
        ("fr", "chaussures légères", "chaussure legere"),
        ("es", "teléfonos móviles", "telefono movil"),
        ("nl", "draadloze koptelefoons", "draadloze koptelefoon"),
        ("it", "scarpe rosse", "scarpa rossa"),
        ("ru", "беспроводные наушники", "беспроводных наушников"),
    ],
)
def test_other_forms_of_a_word_are_the_same_word(language: str, item: str, query: str) -> None:
    analyser = Analyser(language)

    held = {word for part in analyser.item_texts(item) for word in analyser.stems.analyze(part)}
    assert words(analyser, query) <= held


def test_the_language_decides_about_the_stems() -> None:
    assert words(Analyser("de"), "kopfhörern") != words(Analyser("en"), "kopfhörern")
    assert words(Analyser("und"), "Running Shoes") == {"running", "shoes"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_cuts_mixed_text(language: str) -> None:
    assert {"ssd", "1000gb"} <= words(Analyser(language), "SSD 1TB 手机 наушники")


def test_an_index_says_how_its_words_were_cut(tmp_path: Path) -> None:
    build_lexical(tmp_path, [], "zh-TW")

    assert json.loads((tmp_path / ANALYSER).read_text()) == {
        "language": "zh-TW",
        "others": [],
        "identity": Analyser("zh").identity,
    }
    assert LexicalIndex.open(tmp_path).analyser.cuts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not say"),
        ("{}", "does not say"),
        ('{"language": "zh", "identity": "zh, rules 1, rjieba 0.1.0"}', "words cut by 'zh, rules 1, rjieba 0.1.0'"),
        ('{"language": "xx", "identity": ""}', "language 'xx': expected one of ar, da"),
    ],
)
def test_an_index_of_other_words_is_not_opened(tmp_path: Path, content: str | None, message: str) -> None:
    build_lexical(tmp_path, [CatalogueItem("i", "shoe")])
    (tmp_path / ANALYSER).unlink()
    if content is not None:
        (tmp_path / ANALYSER).write_text(content)

    with pytest.raises(ReleaseError, match=message):
        LexicalIndex.open(tmp_path)


def test_a_shop_in_an_unknown_language_is_refused() -> None:
    with pytest.raises(ShopSettingsError, match="setting 'language': language 'tlh': expected one of ar, da"):
        ShopSettings(language="tlh")


@pytest.mark.parametrize(
    ("language", "titles", "query", "text"),
    [
        ("de", ["Schwarze Lampe", "Lampe rund", "Lampen"], "lampen", "lampen lampe"),
        ("de", ["Schwarze Lampe", "Lampen", "Lampen"], "LAMPE rund", "LAMPE lampen rund"),
        ("fr", ["Clavier", "Clavier noir"], "claviers", "claviers clavier"),
        (
            "und",
            ["Lampe", "Lampe", "Lampen"],
            "lampen",
            "lampen",
        ),  # without stems nothing says that words belong together
        ("zh", ["gaming 鼠标", "games 鼠标", "games"], "gaming 鼠标", "gaming games 鼠标"),
    ],
)
def test_the_usual_form_of_a_word_is_that_of_the_catalogues_language(
    tmp_path: Path, language: str, titles: list[str], query: str, text: str
) -> None:
    build_lexical(tmp_path / "index", [CatalogueItem(f"i{n}", title) for n, title in enumerate(titles)], language)

    assert LexicalIndex.open(tmp_path / "index").read(query).text == text
