# ruff: noqa: RUF001  (the letters are what these tests are about)
"""Japanese words are found however they are typed: in hiragana, katakana, half-width katakana, or as they sound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.lexical import LexicalIndex, build_lexical
from shopfuse.recall.words.kana import cut_kana, katakana
from shopfuse.training.data.indexed_items import JapaneseReadings, with_sounds

TITLES = (
    "メンズスニーカー 白",
    "婦人靴 本革",
    "子供用長靴 黄色",
    "白い本棚 スリム",
    "腕時計 クォーツ",
    "お風呂用防水スピーカー",
    "革製の鞄",
    "くつした 3足組",
    "老眼鏡 軽量",
    "赤いスリッパ",
    "かばん 布",
    "Sony ヘッドホン",
    "抹茶 100g",
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    folder = tmp_path_factory.mktemp("kana")
    items = [CatalogueItem(f"i{at:02d}", title, language="ja") for at, title in enumerate(TITLES)]
    build_lexical(folder, list(with_sounds(items)), "ja")
    return LexicalIndex.open(folder)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("スニーカー", {0}),
        ("すにーかー", {0}),
        ("ｽﾆｰｶｰ", {0}),
        ("くつ", {1}),
        ("クツ", {1}),
        ("ながぐつ", {2}),
        ("ほんだな", {3}),
        ("しろい ほんだな", {3}),
        ("しろいほんだな", {3}),
        ("うでどけい", {4}),
        ("とけい", {4}),  # which sounds otherwise behind 腕
        ("すぴーかー", {5}),
        ("かばん", {6, 10}),
        ("カバン", {6, 10}),
        ("くつした", {7}),
        ("ろうがんきょう", {8}),
        ("すりっぱ", {9}),
        ("sonyへっどほん", {11}),
        ("まっちゃ", {12}),
        ("ぱそこん", set()),
        ("パンプス", set()),
    ],
)
def test_a_word_is_found_by_its_sound(index: LexicalIndex, typed: str, found: set[int]) -> None:
    rows = index.search(typed, 5).rows.tolist()

    assert set(rows[: len(found)]) == found and bool(rows) == bool(found)


def test_typed_in_characters_it_finds_no_other_word_of_that_sound(index: LexicalIndex) -> None:
    assert index.search("鞄", 5).rows.tolist() == [6]


@pytest.mark.parametrize(
    ("text", "sounds"),
    [
        ("運動靴", ["ウンドウ", "クツ"]),
        ("腕時計", ["ウデドケイ", "ウデ", "トケイ"]),
        ("くつ スニーカー ABC 720", []),
        ("", []),
    ],
)
def test_words_in_chinese_characters_have_readings(text: str, sounds: list[str]) -> None:
    assert JapaneseReadings().of(text) == sounds


@pytest.mark.parametrize(
    ("pieces", "cut"),
    [
        (["す", "に", "ー", "か", "ー"], ["スニーカー"]),
        (["くつ", "の", "ひも"], ["クツ", "ノ", "ヒモ"]),
        (["パンプス"], ["パンプス"]),  # no パン with a rest
        (["す", "リッパ"], ["ス", "リッパ"]),
        (["靴", "ひも"], ["靴", "ヒモ"]),
    ],
)
def test_kana_are_cut_by_the_words_of_the_catalogue_where_they_are_none(pieces: list[str], cut: list[str]) -> None:
    assert list(cut_kana(pieces, {"スニーカー", "クツ", "パン"})) == cut


@given(
    st.lists(st.text("あかぎのんーァアカスニ靴日", min_size=1, max_size=4), max_size=6),
    st.sets(st.text("アカギノンースニ", min_size=2, max_size=5), max_size=8),
)
def test_no_letter_is_lost_or_moved(pieces: list[str], words: set[str]) -> None:
    cut = list(cut_kana(pieces, words))

    assert "".join(cut) == katakana("".join(pieces)) and "" not in cut
