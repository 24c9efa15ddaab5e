"""What is asked to be absent, and which items that takes out."""

from __future__ import annotations

import pytest

from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.lexical import LexicalIndex, build_lexical
from shopfuse.recall.words.negations import Negations

ITEMS = (
    ("Peanut butter with palm oil", ""),
    ("Peanut butter without palm oil", "Free from palm oil"),
    ("Palm-free peanut butter", ""),
    ("Peanut butter, no added palm fat", "Made where palm grows"),  # the title decides
    ("Peanut butter crunchy", "Contains no palm oil"),
    ("Peanut butter smooth", "Without palm oil. May hold traces of palm"),
    ("Peanut butter", ""),
    ("No More Knots brush", ""),
    ("Brush for knots", ""),
    ("Beer 5 % alcohol", ""),
    ("Non-alcoholic beer", ""),
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    folder = tmp_path_factory.mktemp("lexical")
    items = [CatalogueItem(f"i{row:02d}", title, description=text) for row, (title, text) in enumerate(ITEMS)]
    build_lexical(folder, items)
    return LexicalIndex.open(folder)


@pytest.mark.parametrize(
    ("language", "query", "text", "unwanted"),
    [
        ("en", "jam without sugar", "jam", ("sugar",)),
        ("en", "jam no added sugar", "jam", ("sugar",)),
        ("en", "sugar-free jam", "jam", ("sugar",)),
        ("en", "sugar free jam", "jam", ("sugar",)),
        ("en", "soap without perfume or colour", "soap", ("perfume", "colour")),
        ("en", "tablet -cover", "tablet", ("cover",)),
        ("en", "jacken ohne kapuze", "jacken", ("kapuze",)),
        ("de", "zuckerfreie kekse", "kekse", ("zucker",)),
        ("de", "alkoholfreies bier", "bier", ("alkohol",)),
        ("fr", "biscuit sans sucre", "biscuit", ("sucre",)),
        ("en", "boots without laces with zip", "boots with zip", ("laces",)),
    ],
)
def test_what_is_asked_to_be_absent_leaves_the_words(
    language: str, query: str, text: str, unwanted: tuple[str, ...]
) -> None:
    wanted = Negations(language).of_query(query)

    assert (wanted.text, wanted.unwanted) == (text, unwanted)


@pytest.mark.parametrize(
    "query", ["t-shirt", "usb -c cable", "chanel no 5", "comic sans poster", "freezer bags", "cordless drill", "wi-fi"]
)
def test_names_and_joints_ask_for_nothing_to_be_absent(query: str) -> None:
    assert Negations("en").of_query(query).unwanted == ()


@pytest.mark.parametrize(
    ("query", "out"),
    [
        ("peanut butter without palm", {0, 5}),
        ("peanut butter palm free", {0, 5}),
        ("no more knots", {8}),
        ("non-alcoholic beer", {9}),
        ("peanut butter", set()),
    ],
)
def test_an_item_is_out_unless_it_says_that_it_lacks_the_word(index: LexicalIndex, query: str, out: set[int]) -> None:
    assert set(index.unwanted(index.read(query).unwanted).tolist()) == out


def test_the_encoder_does_not_see_what_is_asked_to_be_absent(index: LexicalIndex) -> None:
    assert index.read("peanut butter without palm under 5").text == "peanut butter"
    assert index.read("without palm").text == "without palm"  # there is nothing else
