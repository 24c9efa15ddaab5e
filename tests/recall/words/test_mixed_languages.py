"""A catalogue in several languages: each item is read by the rules of its own, a query by those of all."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopfuse.datasets.catalogue_language import languages_of, recognise
from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.lexical import LexicalIndex, build_lexical
from shopfuse.training.data.indexed_items import with_sounds

ITEMS = (
    ("de", "Gartenstühle aus Holz"),
    ("de", "Bücher über Kochen"),
    ("de", "Spüler für die Küche"),
    ("en", "Wooden garden chairs"),
    ("en", "Cookies with chocolate, made with palm oil"),
    ("en", "Cookies without palm oil"),
    ("fr", "Chaises de jardin pliantes"),
    ("fr", "Biscuits légers au chocolat, huile de palme"),
    ("zh", "女士运动鞋 轻便"),
    ("ja", "婦人靴 本革"),
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    folder = tmp_path_factory.mktemp("mixed")
    items = [CatalogueItem(f"i{at:02d}", title, language=code) for at, (code, title) in enumerate(ITEMS)]
    build_lexical(folder, list(with_sounds(items)), "de", "en", "fr", "zh", "ja")
    return LexicalIndex.open(folder)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("gartenstuhl", {0}),
        ("stühle", {0}),  # a compound by its end
        ("buch", {1}),
        ("spueler", {2}),
        ("chair", {3}),
        ("wood chair", {3}),
        ("cookie", {4, 5}),
        ("chaise pliante", {6}),
        ("leger", {7}),
        ("運動鞋", {8}),
        ("くつ", {9}),
    ],
)
def test_a_query_finds_items_of_each_language_by_its_rules(index: LexicalIndex, query: str, found: set[int]) -> None:
    rows = index.search(query, 10).rows.tolist()

    assert set(rows[: len(found)]) == found


def test_a_word_that_several_languages_have_is_one_word_of_the_query(index: LexicalIndex) -> None:
    (word,) = index.read("chocolates").words

    assert len(word.forms) > 1
    assert index.coverage("chocolates", index.search("chocolates", 1).rows).tolist() == [1.0]


@pytest.mark.parametrize(
    ("query", "out"),
    [
        ("cookies without palm oil", {4}),
        ("biscuits sans huile de palme", {7}),
        ("gartenstühle ohne holz", {0}),
    ],
)
def test_what_is_absent_is_said_in_any_of_the_languages(index: LexicalIndex, query: str, out: set[int]) -> None:
    assert set(index.unwanted(index.read(query).unwanted).tolist()) == out


GERMAN = ("Roter Stuhl für den Garten", "Große Lampe mit Holzfuß", "Warme Decke aus Wolle", "Kleiner Tisch für Kinder")
ENGLISH = ("Red chair for the garden", "Large lamp with a wooden foot", "Warm blanket made of wool", "Small kids table")


def test_a_mix_is_recognised_and_each_item_told() -> None:
    found = recognise([*GERMAN * 5, *ENGLISH * 3])
    told = languages_of([*GERMAN, *ENGLISH, "12V", ""], ("de", "en"))

    assert (found.code, found.others) == ("de", ("en",))
    assert "each item is read by its own" in found.line
    assert told == ["de"] * 4 + ["en"] * 4 + ["de"] * 2


FRENCH = (
    "Chaise rouge pour le jardin",
    "Grande lampe en bois",
    "Couverture chaude en laine",
    "Petite table pour enfants",
)


def test_a_mix_needs_no_language_of_most_titles() -> None:
    found = recognise([*GERMAN * 4, *ENGLISH * 3, *FRENCH * 3])

    assert found.code == "de" and set(found.others) == {"en", "fr"}


def test_names_make_no_mix() -> None:
    assert recognise([*ENGLISH * 8, "Bosch Uneo", "Philips Lumea", "Le Creuset", "Smeg Retro"]).others == ()


@pytest.mark.parametrize("code", ["en", "de", "zh"])
def test_an_index_of_one_language_is_as_it_was(tmp_path: Path, code: str) -> None:
    """Whether items say their language or not."""
    titles = ("Wooden chairs", "Holzstühle", "木椅 儿童")
    for name, language in (("said", code), ("unsaid", "")):
        items = [CatalogueItem(f"i{at}", title, language=language) for at, title in enumerate(titles)]
        build_lexical(tmp_path / name, items, code)
    said, unsaid = (LexicalIndex.open(tmp_path / name) for name in ("said", "unsaid"))

    assert said.terms() == unsaid.terms()
