"""Part numbers, GTINs and article numbers find their product, however they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopfuse.ranking.item import CatalogueItem
from shopfuse.ranking.order import LEADS
from shopfuse.recall.facts.identifiers import IdentifierIndex, build_identifiers, title_codes
from shopfuse.release.manifest import ReleaseError

ITEMS = (
    CatalogueItem("pump-17", "Coolant pump KX 4410-B/EU for boats", mpn="KX4410-B/EU"),
    CatalogueItem("drill-9", "Hammer drill", gtin="4006381333931", sku="0815.22-A"),
    CatalogueItem("book-3", "A book", attributes=(("ISBN-13", "978-3-16-148410-0"), ("Colour", "RAL7035"))),
    CatalogueItem("cap-1", "Cap", gtin="012345678905", attributes=(("Hersteller-Nummer", "QT-77.120/9"),)),
    CatalogueItem("fan-2", "Fan VT-9120QZ, 230 V, 1920x1080"),
    *(CatalogueItem(f"tape-{n:02d}", f"Tape TR7700 roll {n}") for n in range(20)),
    *(CatalogueItem(f"bit-{n:02d}", "Bit", mpn=f"ZQ-55{n:02d}W") for n in range(12)),
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> IdentifierIndex:
    folder = tmp_path_factory.mktemp("identifiers")
    build_identifiers(folder, ITEMS)
    return IdentifierIndex.open(folder)


def found(index: IdentifierIndex, query: str, known: bool = True) -> dict[str, float]:
    hits = index.found(query, known)
    return {ITEMS[row].item_id: score for row, score in zip(hits.rows.tolist(), hits.scores.tolist(), strict=True)}


@pytest.mark.parametrize(
    ("query", "item"),
    [
        ("KX4410-B/EU", "pump-17"),
        ("kx4410beu", "pump-17"),
        ("kx 4410 b eu", "pump-17"),
        ("KX-4410.B-EU", "pump-17"),
        ("coolant pump kx4410beu", "pump-17"),
        ("spare kx 4410 b eu seal", "pump-17"),
        ("4006381333931", "drill-9"),
        ("04006381333931", "drill-9"),
        ("400638133393", "drill-9"),  # without its check digit
        ("drill 4006381333931", "drill-9"),
        ("0815 22 a", "drill-9"),
        ("drill-9", "drill-9"),
        ("9783161484100", "book-3"),
        ("978-3-16-148410-0", "book-3"),
        ("12345678905", "cap-1"),
        ("00012345678905", "cap-1"),
        ("qt771209", "cap-1"),
        ("vt9120qz", "fan-2"),
        ("VT 9120 QZ", "fan-2"),
    ],
)
def test_a_whole_number_is_found_in_every_writing(index: IdentifierIndex, query: str, item: str) -> None:
    assert found(index, query) == {item: 1.0}


@pytest.mark.parametrize(("query", "item"), [("9120", "fan-2"), ("vt9120", "fan-2"), ("x4410b", "pump-17")])
def test_a_piece_of_few_numbers_leads_and_is_less_than_the_whole(index: IdentifierIndex, query: str, item: str) -> None:
    ((name, score),) = found(index, query).items()

    assert name == item
    assert LEADS <= score < 1.0


def test_a_piece_of_many_numbers_does_not_lead(index: IdentifierIndex) -> None:
    scores = found(index, "zq55")

    assert len(scores) == 12
    assert max(scores.values()) < LEADS


@pytest.mark.parametrize(
    "query",
    [
        "pump",
        "230 v",
        "1920x1080",
        "ral7035",  # a colour
        "tr7700",  # more titles share it than one product has variants
        "fan 9120",  # a piece among other words
        "2",
        "",
        "!!",
        "9999999999999",
    ],
)
def test_what_is_no_number_of_an_item_names_none(index: IdentifierIndex, query: str) -> None:
    assert found(index, query) == {}


@pytest.mark.parametrize(
    ("title", "codes"),
    [
        ("Toner 12A3160, 18 V, 500 GB", {"12a3160"}),
        ("Switch GS-308/EU", {"gs308eu", "gs308"}),
        ("Toner CLI-8G and PR-US2, Wi-Fi6 T-Shirt", {"cli8g", "prus2"}),
        ("Brother MFC 9330CDW", {"mfc9330cdw", "9330cdw"}),
        ("Windows 10 laptop of 2019", set()),
        ("1440 x 900, M8x40, 4x40", set()),
    ],
)
def test_what_looks_like_a_part_number(title: str, codes: set[str]) -> None:
    assert title_codes(title) == codes


def test_words_typed_in_one_are_found_in_titles_where_the_catalogue_does_not_know_them(index: IdentifierIndex) -> None:
    assert found(index, "pumpkx4410b", known=True) == {}
    assert found(index, "pumpkx4410b", known=False) == {"pump-17": LEADS}
    assert found(index, "umpkx4410b", known=False) == {}  # from the beginning of a word
    assert max(found(index, "tapetr7700", known=False).values()) < LEADS  # many titles


def test_a_shop_without_items_names_nothing(tmp_path: Path) -> None:
    build_identifiers(tmp_path, [])
    index = IdentifierIndex.open(tmp_path)

    assert len(index) == len(index.found("kx4410", False)) == 0


def test_a_damaged_index_is_named(tmp_path: Path) -> None:
    build_identifiers(tmp_path, ITEMS)
    (tmp_path / "titles" / "rows.npy").unlink()

    with pytest.raises(ReleaseError, match=r"rows\.npy"):
        IdentifierIndex.open(tmp_path)
