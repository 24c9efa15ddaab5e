"""However a word, a code or a quantity is typed, the same products are found, in the same order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.lexical import LexicalIndex, build_lexical

TITLES = (
    "Long-sleeve polo, navy",
    "Longsleeve, striped",
    "Long scarf with sleeve pocket",
    "Micro-USB adapter",
    "HDMI-A plug",
    "LR6 cells, pack of 8",
    "Alkaline LR6",
    "LR-6 charger",
    "LR 6 holder",
    "Galaxy 21 phone",
    "Galaxy 21 cover",
    "Galaxy 22 cover",
    "Galaxy21 sticker",
    "Garden hose 15 m",
    "Garden hose 20 m",
    "Kettle 1.7 l",
    "Kettle 1 l",
    'Reducer 3/8"',
    'Reducer 1 3/8"',
    "Tile 30 x 60 cm",
    "Anchor M10 x 80",
    "Anchor M10x120",
    "Heater 1,500 W",
)


def lexical(folder: Path, titles: tuple[str, ...], language: str = "en") -> LexicalIndex:
    build_lexical(folder, [CatalogueItem(f"i{n:03d}", title) for n, title in enumerate(titles)], language)
    return LexicalIndex.open(folder)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    return lexical(tmp_path_factory.mktemp("lexical"), TITLES)


@pytest.mark.parametrize(
    ("ways", "best"),
    [
        (("long-sleeve", "longsleeve", "long sleeve"), {0, 1}),
        (("micro-usb", "microusb", "micro usb", "MicroUSB"), {3}),
        (("hdmi-a plug", "hdmia plug", "hdmi a plug"), {4}),
        (("lr6", "lr-6", "lr 6", "LR6"), {5, 6, 7, 8}),
        (("galaxy21 cover", "galaxy 21 cover", "galaxy-21 cover"), {10}),
        (("hose 20m", "hose 20 m", "hose 20 meter", "hose 2000 cm"), {14}),
        (("kettle 1.7 l", "kettle 1,7 l", "kettle 1700 ml", "kettle 1.7 litre"), {15}),
        (('reducer 3/8"', "reducer 3/8 inch", "reducer 0.375 in", "reducer 3/8"), {17}),
        (('reducer 1 3/8"', "reducer 1-3/8 inch", "reducer 1.375 in", "reducer 1⅜ in"), {18}),
        (("30x60 tile", "30 x 60 tile", "30×60 cm tile"), {19}),  # noqa: RUF001
        (("m10x80", "M10 x 80", "m10 x 80 mm"), {20}),
        (("heater 1.5 kw", "heater 1500w", "heater 1500 watt"), {22}),
    ],
)
def test_every_way_of_typing_finds_the_same(index: LexicalIndex, ways: tuple[str, ...], best: set[int]) -> None:
    first = index.search(ways[0], 20)

    assert set(first.rows[: len(best)].tolist()) == best
    for way in ways[1:]:
        hits = index.search(way, 20)
        assert hits.rows.tolist() == first.rows.tolist(), way
        np.testing.assert_allclose(hits.scores, first.scores)
        assert index.read(way).key == index.read(ways[0]).key
        np.testing.assert_allclose(index.coverage(way, hits.rows), index.coverage(ways[0], hits.rows))


@pytest.mark.parametrize(
    ("ways", "written"),
    [
        (("lr-6 charger", "lr 6 charger", "lr6 charger"), "lr6 charger"),
        (("micro usb", "microusb"), "micro-usb"),
        (("hose 20m", "hose 2000 cm"), "hose 20 m"),
        (("galaxy-21", "galaxy21"), "galaxy 21"),
    ],
)
def test_the_encoder_reads_what_the_catalogue_mostly_writes(
    index: LexicalIndex, ways: tuple[str, ...], written: str
) -> None:
    assert {" ".join(index.read(way).text.split()) for way in ways} == {written}


def test_words_that_merely_stand_side_by_side_are_no_joint_word(index: LexicalIndex) -> None:
    assert [word.forms for word in index.read("garden hose").words] == [(("garden",),), (("hose",),)]


def test_an_item_with_both_parts_apart_covers_a_joint_word_and_one_with_a_part_half(index: LexicalIndex) -> None:
    np.testing.assert_allclose(index.coverage("longsleeve", np.array([1, 2, 14], np.int32)), [1.0, 1.0, 0.0])
    np.testing.assert_allclose(index.coverage("micro usb", np.array([3, 14], np.int32)), [1.0, 0.0])


GERMAN = (
    "Hängeleuchte Messing",
    "Stehleuchte",
    "Leuchtenschirm",
    "Armbanduhr",
    "Armband Leder",
    "Wanduhr",
    "Schwur",
    "Kindersitz",
    "Sitz",
    "Kindle Hülle",
)


@pytest.mark.parametrize(
    ("language", "titles", "query", "first", "not_found"),
    [
        ("de", GERMAN, "leuchte", {0, 1}, {3}),
        ("de", GERMAN, "leuchten", {0, 1}, {3}),
        ("de", GERMAN, "uhr", {3}, {6}),  # three letters need a word of the catalogue before them
        ("de", GERMAN, "kinder sitz", {7}, {9}),
        ("de", GERMAN, "haengeleuchte", {0}, {1}),
        ("nl", ("Tuinstoel", "Bureaustoel zwart", "Tafel"), "stoel", {0, 1}, {2}),
        ("sv", ("Trädgårdsstol", "Kontorsstol", "Bord"), "stol", {0, 1}, {2}),
        ("da", ("Havestol", "Kontorstol", "Bord"), "stol", {0, 1}, {2}),
        ("en", ("Smallwares", "Wares"), "wares", {1}, {0}),
    ],
)
def test_a_word_finds_the_compounds_that_end_with_it(
    tmp_path: Path, language: str, titles: tuple[str, ...], query: str, first: set[int], not_found: set[int]
) -> None:
    rows = lexical(tmp_path, titles, language).search(query, 20).rows.tolist()

    assert set(rows[: len(first)]) == first
    assert not set(rows) & not_found


def test_what_a_compound_is_counts_more_than_what_it_is_about(tmp_path: Path) -> None:
    index = lexical(tmp_path, GERMAN, "de")

    kind, about = index.coverage("leuchte", np.array([0, 2], np.int32))
    assert kind == pytest.approx(1.0)
    assert about < kind


@pytest.mark.parametrize(
    ("title", "query"), [("Cœur æble", "coeur aeble"), ("Straße", "strasse"), ("Łódź ø", "lodz o"), ("ĳs", "ijs")]
)
def test_ligatures_and_marks_are_folded_for_comparing(tmp_path: Path, title: str, query: str) -> None:
    assert len(lexical(tmp_path, (title, "other"), "und").search(query, 5)) == 1
