"""Quantities of a query agree with an item's title, contradict it, or are not spoken of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.facts.quantities import QuantityIndex, build_quantities
from shopfuse.release.manifest import ReleaseError

NAN = float("nan")


@pytest.mark.parametrize(
    ("query", "title", "expected"),
    [
        ("24 v charger", "Charger 24V", 1),
        ("24 volt", "Charger 12 V", 0),
        ("24 v", "Charger", NAN),
        ("24 v", "Charger 24 W", NAN),
        ("330 ml", "Juice 0.33 l", 1),
        ("16gb 512gb", "Laptop 16 GB RAM, 512 GB SSD", 1),
        ("16gb 512gb", "Laptop 16 GB RAM, 256 GB SSD", 0),
        ('3/4"', 'Valve 1 3/4"', 0),
        ("5x60", "Screw 5 x 60 mm", 1),
        ("5x60", "Screw 5 x 80 mm", 0),
        ("m6", "Bolt M6x30", 1),
        ("m6", "Bolt M8x30", 0),
        ("15 inch", 'Laptop 15.6"', 1),
        ("2 inch", 'Valve 2 1/2"', 0),
        ("43 cm", 'Screen 43.2 cm (17")', 1),  # as catalogues round
    ],
)
def test_a_title_agrees_contradicts_or_is_silent(tmp_path: Path, query: str, title: str, expected: float) -> None:
    build_quantities(tmp_path, [CatalogueItem("a", "Nothing"), CatalogueItem("b", title)])
    index = QuantityIndex.open(tmp_path)

    scores = index.score(query, np.array([1, 0, 1], np.int32))

    assert scores is not None
    np.testing.assert_array_equal(scores, np.array([expected, NAN, expected], np.float32))


def test_a_query_without_quantities_has_no_score(tmp_path: Path) -> None:
    build_quantities(tmp_path, [CatalogueItem("a", "Charger 24V")])

    assert QuantityIndex.open(tmp_path).score("charger 24", np.zeros(1, np.int32)) is None


def test_a_damaged_index_is_named(tmp_path: Path) -> None:
    build_quantities(tmp_path, [CatalogueItem("a", "Charger 24V")])
    np.save(tmp_path / "values.npy", np.zeros(3, np.float32))

    with pytest.raises(ReleaseError, match=r"indptr\.npy"):
        QuantityIndex.open(tmp_path)
