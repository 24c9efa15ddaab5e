"""What is asked to be absent, and which items that takes out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.lexical import LexicalIndex, build_lexical
from shopfuse.recall.words.negations import MOST_WORDS, Negations, PhraseCounts

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
        ("en", "bread free from gluten", "bread", ("gluten",)),
        ("en", 'crisps -"sea salt" bag', "crisps bag", ("sea salt",)),
        ("en", 'crisps without "sea salt"', "crisps", ("sea salt",)),
        ("en", "crisps -sea-salt", "crisps", ("sea-salt",)),
        ("fr", "compote sans sucres ajoutés", "compote", ("sucres",)),
        ("it", "marmellata senza zuccheri aggiunti", "marmellata", ("zuccheri",)),
        ("en", "gloves not leather", "gloves", ("leather",)),
        ("en", "gloves not for skiing", "gloves", ("skiing",)),
        ("en", "candles except red or white", "candles", ("red", "white")),
        ("de", "handschuhe nicht rot", "handschuhe", ("rot",)),
    ],
)
def test_what_is_asked_to_be_absent_leaves_the_words(
    language: str, query: str, text: str, unwanted: tuple[str, ...]
) -> None:
    wanted = Negations(language).of_query(query)

    assert (wanted.text, wanted.unwanted) == (text, unwanted)


@pytest.mark.parametrize(
    "query",
    [
        *("t-shirt", "usb -c cable", "chanel no 5", "comic sans poster", "freezer bags", "cordless drill", "wi-fi"),
        *("do not disturb sign", "forget me not seeds", "not your usual tea", "knot board"),
    ],
)
def test_names_and_joints_ask_for_nothing_to_be_absent(query: str) -> None:
    assert Negations("en").of_query(query).unwanted == ()


@pytest.mark.parametrize(
    ("query", "out"),
    [
        ("peanut butter without palm", {0, 5}),
        ("peanut butter without palm oil", {0}),
        ('peanut butter -"palm fat"', set()),
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


PHRASES = (
    ("Nut bar", "Dates, cocoa butter, soy lecithin"),
    ("Cocoa butter free nut bar", "Dates, soy lecithin"),
    ("Cocoa-butter-free bar", ""),
    ("Butter-free bar", "With cocoa butter"),  # butter it lacks, cocoa butter it has
    ("Shea butter balm", ""),
    ("Butter, salted", "Cocoa, butter and salt"),
    ("Cocoa powder", ""),
    ("Organic soy drink", ""),
    ("Organic cocoa", ""),
    ("Organic raisins", ""),
    ("Bike rack for 3 bikes", ""),
    ("Laptop bag for Pixelbook 3", ""),
    ("Beurre de cacao", ""),
)


@pytest.fixture(scope="module")
def phrases(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    folder = tmp_path_factory.mktemp("phrases")
    build_lexical(
        folder, [CatalogueItem(f"i{row:02d}", title, description=text) for row, (title, text) in enumerate(PHRASES)]
    )
    return LexicalIndex.open(folder)


@pytest.mark.parametrize(
    ("query", "asked", "unwanted", "out"),
    [
        ("bar without cocoa butter", "bar", ("cocoa butter",), {0, 3}),
        ("bar no cocoa butter", "bar", ("cocoa butter",), {0, 3}),
        ("bar without added cocoa butter or soy lecithin", "bar", ("cocoa butter", "soy lecithin"), {0, 1, 3}),
        ("cocoa butter free bar", "bar", ("cocoa butter",), {0, 3}),
        ("cocoa-butter-free bar", "bar", ("cocoa-butter",), {0, 3}),
        ('bar -"cocoa butter"', "bar", ("cocoa butter",), {0, 3}),
        ("bar without cocoa raisins", "bar raisins", ("cocoa",), {0, 1, 2, 3, 5, 6, 8}),  # nothing is called so
        ("organic soy free bar", "organic bar", ("soy",), {0, 1, 7}),  # much is organic
        ("bag for a book without pixelbook 3", "bag for a book", ("pixelbook 3",), {11}),
        ("no cocoa butter", "butter", ("cocoa",), {0, 1, 2, 3, 5, 6, 8}),  # butter is the name
        ("no cocoa butter bar", "bar", ("cocoa butter",), {0, 3}),
        ("without cocoa butter", "", ("cocoa butter",), {0, 3}),
        ("zero cocoa butter bar", "butter bar", ("cocoa",), {0, 1, 2, 3, 5, 6, 8}),
        ("bar without beurre de cacao", "bar", ("beurre de cacao",), {12}),
        ("bar without beurre de coco", "bar de coco", ("beurre",), {12}),  # "beurre de" is no phrase
    ],
)
def test_a_negated_phrase_goes_as_far_as_the_catalogue_has_it(
    phrases: LexicalIndex, query: str, asked: str, unwanted: tuple[str, ...], out: set[int]
) -> None:
    read = phrases.read(query)

    assert (read.asked, read.unwanted_words) == (asked, unwanted)
    assert set(phrases.unwanted(read.unwanted).tolist()) == out


def test_words_of_two_clauses_are_no_phrase(phrases: LexicalIndex) -> None:
    assert 5 not in phrases.unwanted(phrases.read("bar without cocoa butter").unwanted)


WORDS = st.sampled_from(
    [
        "without",
        "no",
        "ohne",
        "free",
        "sugar",
        "palm",
        "oil",
        "de",
        "with",
        "and",
        ",",
        "-",
        "-nut",
        '"',
        "from",
        "b12",
        "x",
    ]
)


@given(st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=40), st.booleans())
def test_any_query_is_read_and_its_words_are_wanted_or_unwanted(query: str, known: bool) -> None:
    wanted = Negations("de").of_query(query, lambda _: PhraseCounts(known, 1, 1))
    typed = re.findall(r"\w+", query.lower())

    assert set(re.findall(r"\w+", wanted.text.lower())) <= set(typed)
    assert all(phrase.strip() for phrase in wanted.unwanted)
    assert wanted.unwanted or wanted.text == query


@given(st.lists(st.sampled_from(["gluten", "palm", "oil", "3"]), min_size=1, max_size=8))
def test_a_phrase_has_a_limit(words: list[str]) -> None:
    wanted = Negations("en").of_query(" ".join(("without", "nuts", *words)), lambda _: PhraseCounts(1, 1, 1))

    assert len(wanted.unwanted[0].split()) == min(1 + len(words), MOST_WORDS)
