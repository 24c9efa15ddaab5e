# ruff: noqa: RUF001  (full-width characters are what some tests are about)
"""Scripts without spaces: cut the same in items and queries, and Chinese as it sounds and in other words."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.lexical import LexicalIndex, build_lexical
from shopfuse.recall.words.analysis import Analyser
from shopfuse.recall.words.knowledge import ANALYSER
from shopfuse.recall.words.readings import FILE as READINGS
from shopfuse.release.manifest import ReleaseError

TITLES = {
    "ja": (
        "メンズランニングシューズ 軽量",
        "レディースサンダル 本革",
        "子供用長靴 黄色",
        "ワイヤレスイヤホン ノイズキャンセリング",
        "お風呂用防水スピーカー",
        "スマホ用急速充電器 30W",
        "オフィスチェア 肘掛け付き",
        "木製ダイニングテーブル",
        "白い本棚 スリム",
        "ステンレス水筒 500ml",
        "Sony ヘッドホン WH-1000XM5",
        "ｷｯﾁﾝ用はさみ",
    ),
    "th": (
        "รองเท้าวิ่งผู้ชาย น้ำหนักเบา",
        "รองเท้าแตะหนังผู้หญิง",
        "หูฟังไร้สายตัดเสียงรบกวน",
        "ลำโพงกันน้ำสำหรับห้องน้ำ",
        "เก้าอี้สำนักงานมีที่วางแขน",
        "โต๊ะอาหารไม้โอ๊ค",
        "เสื้อยืดผ้าฝ้าย",
        "ตุ๊กตาเสือ",
        "กระทะเคลือบ 28 ซม.",
        "Samsung Galaxy โทรศัพท์มือถือ",
    ),
    "zh": (
        "女士运动鞋 轻便 透气",
        "男士登山鞋 防水",
        "无线蓝牙音箱 便携",
        "机械键盘 有线 104键",
        "不粘炒锅 32cm",
        "Logitech 无线鼠标 静音",
        "阳台遮阳帘 加厚",
        "小龙虾 鲜活 2kg",
        "冰箱 双门 家用",
        "儿童书包 小学生",
    ),
}


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LexicalIndex]:
    return {language: indexed(tmp_path_factory.mktemp(language), language) for language in TITLES}


def indexed(folder: Path, language: str) -> LexicalIndex:
    build_lexical(folder, [CatalogueItem(str(at), title) for at, title in enumerate(TITLES[language])], language)
    return LexicalIndex.open(folder)


@pytest.mark.parametrize(
    ("language", "query", "found"),
    [
        ("ja", "ランニングシューズ", [0]),
        ("ja", "シューズ メンズ", [0]),
        ("ja", "ﾗﾝﾆﾝｸﾞ", [0]),
        ("ja", "キッチン", [11]),
        ("ja", "本棚", [8]),
        ("ja", "棚", [8]),
        ("ja", "充電器", [5]),
        ("ja", "防水 スピーカー", [4]),
        ("ja", "sonyヘッドホン", [10]),
        ("ja", "500ミリ水筒", [9]),
        ("th", "รองเท้า", [0, 1]),
        ("th", "รองเท้าวิ่ง", [0]),
        ("th", "หูฟัง", [2]),
        ("th", "เก้าอี้", [4]),
        ("th", "ห้องน้ำ", [3]),
        ("th", "โต๊ะ", [5]),
        ("th", "เสื้อ", [6]),
        ("th", "เสือ", [7]),
        ("th", "samsungโทรศัพท์", [9]),
        ("zh", "運動鞋", [0]),
        ("zh", "無線滑鼠", [5]),
        ("zh", "ＬＯＧＩＴＥＣＨ", [5]),
        ("zh", "冰箱", [8]),
    ],
)
def test_words_are_found_where_nobody_writes_spaces(
    indexes: dict[str, LexicalIndex], language: str, query: str, found: list[int]
) -> None:
    rows = indexes[language].search(query, 10).rows.tolist()

    assert sorted(rows[: len(found)]) == found


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("yundongxie", "运动鞋"),
        ("yundong xie", "运动鞋"),
        ("deng shan xie", "登山鞋"),
        ("lanya yinxiang", "蓝牙音箱"),
        ("logitech shubiao", "logitech 鼠标"),
        ("jianpan", "键盘"),
        ("ydx", "运动鞋"),
        ("wxsb logitech", "无线鼠标 logitech"),
    ],
)
def test_chinese_typed_as_it_sounds_is_read_as_what_the_catalogue_writes(
    indexes: dict[str, LexicalIndex], typed: str, meant: str
) -> None:
    index = indexes["zh"]

    assert index.read(typed).corrected == meant
    assert index.search(typed, 1).rows.tolist() == index.search(meant, 1).rows.tolist()
    assert index.read(typed, as_typed=True).corrected == ""


@pytest.mark.parametrize("typed", ["logitech", "men", "wireless mouse", "xyzzy", "32cm", "x", "dvd", "b x"])
def test_other_latin_words_are_read_as_no_sounds(indexes: dict[str, LexicalIndex], typed: str) -> None:
    assert indexes["zh"].read(typed).corrected == ""


@pytest.mark.parametrize(
    ("query", "found"), [("山鞋", 1), ("虾", 7), ("大虾", 7), ("窗帘", 6), ("雪柜双门", 8), ("帘子", 6)]
)
def test_a_word_that_no_title_has_is_looked_for_in_its_characters(
    indexes: dict[str, LexicalIndex], query: str, found: int
) -> None:
    assert indexes["zh"].search(query, 1).rows.tolist() == [found]


@pytest.mark.parametrize(("language", "query"), [("ja", "椅子"), ("zh", "桌子"), ("zh", "梳子")])
def test_an_ending_that_says_nothing_finds_nothing(indexes: dict[str, LexicalIndex], language: str, query: str) -> None:
    assert len(indexes[language].search(query, 5)) == 0


def test_a_word_is_not_found_by_a_character_where_items_hold_it(indexes: dict[str, LexicalIndex]) -> None:
    (word,) = indexes["zh"].read("书包").words

    assert word.halves == ()
    assert word.forms == (("书包",),)


@pytest.mark.parametrize(
    ("language", "packages"), [("zh", ("rjieba", "opencc")), ("ja", ("icu4py",)), ("th", ("icu4py",)), ("de", ())]
)
def test_the_identity_names_what_cuts_with_its_version(language: str, packages: tuple[str, ...]) -> None:
    identity = Analyser(language).identity

    assert all(f"{package} {metadata.version(package)}" in identity for package in packages)
    assert ("spaces" in identity) == (not packages)


def test_an_index_that_was_cut_by_another_version_is_refused(tmp_path: Path) -> None:
    indexed(tmp_path, "ja")
    content = json.loads((tmp_path / ANALYSER).read_text())
    content["identity"] = content["identity"].replace(metadata.version("icu4py"), "0.0.1")
    (tmp_path / ANALYSER).write_text(json.dumps(content))

    with pytest.raises(ReleaseError, match=r"words cut by 'ja, .*icu4py 0\.0\.1'"):
        LexicalIndex.open(tmp_path)


def test_first_letters_mean_any_word_that_begins_so(indexes: dict[str, LexicalIndex]) -> None:
    (word,) = indexes["zh"].read("bx").words

    assert {("便携",), ("冰箱",)} <= set(word.forms)
    assert set(indexes["zh"].search("bx", 5).rows.tolist()) == {2, 8}


def test_what_an_item_holds_is_read_as_no_first_letters(tmp_path: Path) -> None:
    titles = ("运动鞋 轻便", "冰箱 双门", "YDX 工具箱")
    build_lexical(tmp_path, [CatalogueItem(str(at), title) for at, title in enumerate(titles)], "zh")
    index = LexicalIndex.open(tmp_path)

    assert (index.read("ydx").corrected, index.search("ydx", 1).rows.tolist()) == ("", [2])
    assert index.read("bx").corrected == "冰箱"


def test_readings_that_are_missing_are_named(tmp_path: Path) -> None:
    indexed(tmp_path, "zh")
    (tmp_path / READINGS).unlink()

    with pytest.raises(ReleaseError, match=r"readings\.json: not how a catalogue's words sound"):
        LexicalIndex.open(tmp_path)


def test_marks_belong_to_the_words_of_every_script() -> None:
    assert Analyser("und").surface("हिन्दी किताब") == ["हिन्दी", "किताब"]
    assert Analyser("th").surface("เสื้อยืด") == ["เสื้อ", "ยืด"]
