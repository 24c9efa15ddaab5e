"""How exactly a query names an item."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.facts.titles import TitleIndex, build_titles, called, names_model
from shopfuse.recall.lexical import LexicalIndex, build_lexical
from shopfuse.recall.words.analysis import Analyser
from shopfuse.release.manifest import ReleaseError

ITEMS = (
    CatalogueItem("a0", "Kiku Zephyr 7 Ultra 256 GB Coral", brand="Kiku", attributes=(("Colour", "Coral"),)),
    CatalogueItem("a1", "Kiku Zephyr 7 256 GB Coral", brand="Kiku", attributes=(("Colour", "Coral"),)),
    CatalogueItem("a2", "Leather cover for Zephyr 7, black", category=("Covers",)),
    CatalogueItem("a3", "Kiku Zephyr 6 128 GB", brand="Kiku"),
    CatalogueItem("a4", "Leather cover for Zephyr 7 Ultra, red", category=("Covers",)),
)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    folder = tmp_path_factory.mktemp("lexical")
    build_lexical(folder, ITEMS)
    return LexicalIndex.open(folder)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> TitleIndex:
    folder = tmp_path_factory.mktemp("titles")
    build_titles(folder, ITEMS, "en")
    return TitleIndex.open(folder)


@pytest.mark.parametrize(
    ("query", "shares"),
    [
        ("zephyr 7", [2 / 3, 1.0, 0.0, 0.0, 0.0]),  # the plain model, its Ultra; nothing that is for it
        ("kiku zephyr 7 ultra", [1.0, 0.0, 0.0, 0.0, 0.0]),
        ("zephyr 7 cover", [0.0, 0.0, 3 / 4, 0.0, 3 / 5]),
        ("cover", [0.0, 0.0, 1 / 2, 0.0, 1 / 2]),
        ("zephyr", [1 / 3, 1 / 2, 0.0, 1 / 2, 0.0]),
        ("zephyr 9", None),
        ("kiku", None),  # what is called so is not told by the brand
    ],
)
def test_what_the_query_does_not_say_counts_against_a_name(
    words: LexicalIndex, index: TitleIndex, query: str, shares: list[float] | None
) -> None:
    scores = index.score(words.read(query).words, np.arange(5, dtype=np.int32))

    assert (scores is None) == (shares is None)
    if scores is not None and shares is not None:
        np.testing.assert_allclose(scores, shares, rtol=1e-6)


@pytest.mark.parametrize(
    ("query", "named"),
    [("zephyr 7", True), ("wh1000xm4 pads", True), ("batteries", False), ("16 GB stick", False), ("7 256 GB", True)],
)
def test_a_number_that_is_no_measure_names_a_model(words: LexicalIndex, query: str, named: bool) -> None:
    assert names_model(words.read(query)) == named


@pytest.mark.parametrize(
    ("title", "name", "purpose"),
    [
        ("750 W circular saw 2 m cable", ["circular", "saw"], []),
        ("Saw - cordless", ["saw"], []),
        ("Garden hose, 20 m", ["garden", "hose"], []),
        ("Cover compatible with Zephyr", ["cover"], ["zephyr"]),
        ("256 GB", [], []),
        ("", [], []),
    ],
)
def test_a_name_ends_before_measures_commas_and_what_it_is_for(title: str, name: list[str], purpose: list[str]) -> None:
    assert called(Analyser("en"), CatalogueItem("x", title)) == (name, purpose)


def test_a_damaged_index_is_named(tmp_path: Path) -> None:
    build_titles(tmp_path, ITEMS, "en")
    np.save(tmp_path / "names_hashes.npy", np.zeros(1, np.uint32))

    with pytest.raises(ReleaseError, match="names_indptr"):
        TitleIndex.open(tmp_path)
