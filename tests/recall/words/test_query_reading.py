"""Queries read by the catalogue's own words: slips, torn words and compounds."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from rapidfuzz.distance import OSA

from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.lexical import LexicalIndex, build_lexical
from shopfuse.recall.words.brands import FILE as BRANDS
from shopfuse.recall.words.joints import FILE as JOINTS
from shopfuse.recall.words.knowledge import USUAL_FORMS
from shopfuse.recall.words.spelling import Spelling, build_spelling, shortened
from shopfuse.release.manifest import ReleaseError

TITLES = (
    "Samsung laptop",
    "Lenovo laptop",
    "Laptop bag",
    "Wireless headphones",
    "Headphones, wireless",
    "Smart watch black",
    "Smart watch white",
    "Smartwatch",
    "Gaming mouse",
    "Gaming mouse",
    "Lenovo top cover for a lap",
    "Toner TN-2110",
    "Toner TN2110",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lexical")
    build_lexical(folder, [CatalogueItem(f"i{row:02d}", title) for row, title in enumerate(TITLES)])
    return folder


@pytest.fixture(scope="module")
def index(folder: Path) -> LexicalIndex:
    return LexicalIndex.open(folder)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("labtop", "laptop"),
        ("wirless hedphones", "wireless headphones"),
        ("LAPTPO, Lenvoo!", "laptop, lenovo!"),
        ("laptop labtop", "laptop laptop"),
        ("lap top", "laptop"),
        ("lap-top bag", "laptop bag"),
        ("gamingmouse", "gaming mouse"),
    ],
)
def test_a_slip_is_read_as_the_word_of_the_catalogue(index: LexicalIndex, query: str, text: str) -> None:
    assert index.read(query).text == text
    assert index.search(query, 20).rows.tolist() == index.search(text, 20).rows.tolist()


@pytest.mark.parametrize(
    "query",
    ["laptop", "bag", "top cover", "cover", "smart watch", "tn2110", "tn2111", "xbox", "zither", "", "bga"],
)
def test_what_the_catalogue_has_or_what_is_far_from_it_stays(index: LexicalIndex, query: str) -> None:
    assert index.read(query).text == query


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("laptops", "laptops laptop"),
        ("Laptops, Samsung", "Laptops laptop, Samsung"),
        ("laptops laptop", "laptops laptop"),
        ("headphone", "headphone headphones"),
        ("games", "games gaming"),
        ("watches smart", "watches watch smart"),
        ("toners", "toners toner"),
        ("bags", "bags bag"),
    ],
)
def test_the_encoder_also_reads_a_word_as_the_catalogue_writes_it(index: LexicalIndex, query: str, text: str) -> None:
    assert index.read(query).text == text
    assert len(index.read(query).words) == len(set(map(index.analyser.stem, index.analyser.surface(query))))


@pytest.mark.parametrize("query", ["smart watch", "smartwatch", "SmartWatch"])
def test_compounds_are_found_in_all_their_spellings(index: LexicalIndex, query: str) -> None:
    hits = index.search(query, 20)
    coverage = index.coverage(query, hits.rows)

    assert sorted(TITLES[row] for row in hits.rows) == ["Smart watch black", "Smart watch white", "Smartwatch"]
    np.testing.assert_allclose(coverage, 1.0, atol=1e-6)
    np.testing.assert_allclose(index.score(query, hits.rows), hits.scores, rtol=1e-6)


def test_half_a_compound_is_half_of_the_query(index: LexicalIndex) -> None:
    coverage = index.coverage("lenovo watch", np.array([1, 5, 7], np.int32))

    assert 0.0 < coverage[0] < 1.0
    assert 0.0 < coverage[1] < 1.0
    assert coverage[2] == 0.0  # "watch" alone is no smartwatch


@pytest.mark.parametrize(
    ("query", "brands"),
    [
        ("samsung", ("Samsung",)),
        ("case for SAMSUNG and Case-Mate", ("Samsung", "Case-Mate")),
        ("samsnug", ("Samsung",)),
        ("red case", ()),
        ("garmin", ()),
    ],
)
def test_a_query_names_its_brands(tmp_path: Path, query: str, brands: tuple[str, ...]) -> None:
    sold = [("Samsung", "tablet")] * 3 + [("Case-Mate", "cover")] * 2 + [("Red", "shoe")] + [("Kiku", "red case")] * 9
    items = [CatalogueItem(f"i{row:02d}", title, brand=brand) for row, (brand, title) in enumerate(sold)]
    build_lexical(tmp_path, items)

    assert LexicalIndex.open(tmp_path).read(query).brands == brands


def test_the_more_frequent_of_equally_near_words_is_meant(tmp_path: Path) -> None:
    build_spelling(tmp_path, {"cable": 5, "table": 9, "rare": 1})
    spelling = Spelling.open(tmp_path)

    assert spelling.correction("xable") == "table"
    assert spelling.correction("rars") is None
    assert spelling.known == {"cable", "table"}


@pytest.mark.parametrize("seed", range(3))
def test_every_word_within_reach_is_found(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    words = sorted({"".join(rng.choice(list("abcde"), rng.integers(4, 12))) for _ in range(300)})
    build_spelling(tmp_path, dict.fromkeys(words, 2))
    spelling = Spelling.open(tmp_path)

    for _ in range(50):
        typed = "".join(rng.choice(list("abcde"), rng.integers(4, 12)))
        edits = 2 if len(typed) >= 8 else 1
        # Words and slips of different lengths may allow different numbers of edits: one edit is always within reach.
        near = min((OSA.distance(typed, word) for word in words), default=9)
        correction = spelling.correction(typed)
        assert (correction is not None) or near > 1
        assert correction is None or near <= OSA.distance(typed, correction) <= edits


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("laptop", "laptop"),
        ("lptop", "laptop"),  # a letter left out
        ("lapttop", "laptop"),  # put in
        ("labtop", "laptop"),  # replaced
        ("laptpo", "laptop"),  # two swapped
        ("lpatpo", None),  # a short word may have one slip
        ("toplap", None),
        ("mnoitosr", "monitors"),  # a long word two
        ("maniters", "monitors"),
        ("moixntors", None),  # two swapped with a third between them are three
    ],
)
def test_a_slip_is_a_letter_less_or_more_or_other_or_two_swapped(tmp_path: Path, typed: str, meant: str | None) -> None:
    build_spelling(tmp_path, {"laptop": 2, "monitors": 2})

    assert Spelling.open(tmp_path).correction(typed) == meant


def test_shortened_forms_lack_up_to_as_many_letters() -> None:
    assert shortened("abc", 1) == {"abc", "bc", "ac", "ab"}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (JOINTS, "[]"),
        (BRANDS, "[]"),
        (JOINTS, '{"ab": ["a"]}'),
        (USUAL_FORMS, "[]"),
        (USUAL_FORMS, "{"),
        ("spelling/words.json", '["one"]'),
        ("spelling/words.json", "{"),
        ("spelling/hashes.npy", "x"),
        ("known/words.json", '{"lamp": "many"}'),
        ("known/language.npy", "x"),
        ("lacking/rows.npy", "x"),
    ],
)
def test_damaged_knowledge_of_words_is_named(folder: Path, tmp_path: Path, file: str, content: str) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / file).write_text(content)

    with pytest.raises(ReleaseError, match=str(tmp_path / file.split("/")[0])):
        LexicalIndex.open(tmp_path)


@pytest.mark.parametrize(
    ("query", "text", "completed"),
    [
        ("headph", "headphones", ("headphones",)),
        ("wireless headph", "wireless headphones", ("headphones",)),
        ("samsung lapt", "samsung laptop", ("laptop",)),
        ("lap", "lap", ()),  # the catalogue has it
        ("he", "he", ()),
        ("headp wireless", "headp wireless", ()),  # only the last word is unfinished
        ("to", "to", ()),
        ("wireless head", "wireless head", ("headphones",)),  # a word; items hold it together with the other
        ("head", "head", ()),
    ],
)
def test_the_last_word_may_be_the_beginning_of_one(
    index: LexicalIndex, query: str, text: str, completed: tuple[str, ...]
) -> None:
    assert index.read(query).text == text
    assert index.read(query).completed == completed
    if completed:
        assert index.search(query, 20).rows[0] in index.search(completed[0], 20).rows


@pytest.mark.parametrize("word", ["bat", "cove", "loner", "bags", "café", "mousse", "glove", "waters"])
def test_a_word_of_the_language_is_not_turned_into_another(index: LexicalIndex, word: str) -> None:
    assert index.read(word).corrected == ""


def test_words_may_be_taken_as_they_are_typed(index: LexicalIndex) -> None:
    read = index.read("wirless headph", as_typed=True)

    assert (read.text, read.corrected, read.completed) == ("wirless headph", "", ())
    assert len(index.search("wirless", 20, as_typed=True)) == 0
    assert index.read("wirless headph").corrected == "wireless headph"


@pytest.mark.parametrize(
    ("query", "categories"),
    [
        ("lamps", ("Home > Lamps", "Office > Lamps")),
        ("office lamp", ("Office", "Home > Lamps", "Office > Lamps")),
        ("table", ()),
        ("garden furniture", ("Home > Garden furniture",)),
        ("furniture", ()),
    ],
)
def test_a_query_names_its_categories(tmp_path: Path, query: str, categories: tuple[str, ...]) -> None:
    paths = (("Home", "Lamps"), ("Office", "Lamps"), ("Home", "Garden furniture"))
    build_lexical(tmp_path, [CatalogueItem(f"i{row}", "table", category=path) for row, path in enumerate(paths)])

    assert LexicalIndex.open(tmp_path).read(query).categories == categories


@pytest.mark.parametrize(
    ("query", "code"),
    [("LC1D32P7", True), ("6es7214 k9x2lm44", True), ("ps5", False), ("laptop 6es7214", False), ("12345678", False)],
)
def test_codes_mean_nothing_but_themselves(index: LexicalIndex, query: str, code: bool) -> None:
    assert index.read(query).is_code == code
