"""A pair seen once leads no list; a pair seen often may. Similar items of a shop with phones and shoes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shopfuse.ranking.channels import CHANNEL_COLUMN, SIMILAR
from shopfuse.ranking.fusion import FUSION_METHODS, fuse
from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.channels import channel_scores, pool
from shopfuse.recall.contents import IndexContents
from shopfuse.recall.indexes import RecallIndexes, build_indexes
from shopfuse.recall.vector_channels import query_like
from shopfuse.recall.visits import Sessions
from shopfuse.recall.words.chosen_categories import NO_CHOICES
from shopfuse.release.layout import ReleaseLayout
from tests.recall.shop import unit_vectors

PHONES, SHOES = 12, 12
SEED, SHOE = 0, PHONES  # rows
VECTORS = np.where(np.arange(PHONES + SHOES)[:, None] < PHONES, *unit_vectors(2, 32)) + 0.4 * unit_vectors(
    PHONES + SHOES, 32, seed=3
)
VECTORS = (VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)).astype(np.float32)
EVEN = np.full(PHONES + SHOES, 0.2, np.float32)  # no item is more popular than another


def together(sessions: int, others: int = 500) -> Sessions:
    """So many sessions, of as many users, in which the seed was bought with one shoe, and those of others, who bought
    any of the other items."""
    codes = np.append(np.repeat(np.arange(sessions), 2), sessions + np.arange(others))
    rest = [row for row in range(PHONES + SHOES) if row not in (SEED, SHOE)]
    rows = np.append(np.tile([SEED, SHOE], sessions), np.resize(rest, others)).astype(np.int32)
    return codes, rows, np.full(len(rows), 3.0, np.float32), np.arange(len(rows)) * 1.0


def shop(root: Path, sessions: Sessions) -> RecallIndexes:
    kinds = ["phone"] * PHONES + ["running shoe"] * SHOES
    layout = ReleaseLayout(root)
    contents = IndexContents(
        items=lambda: [CatalogueItem(f"i{row:02d}", kind) for row, kind in enumerate(kinds)],
        languages=("en",),
        categories=np.repeat(np.array([1, 2], np.int32), [PHONES, SHOES]),
        text_vectors=VECTORS,
        image_vectors=None,
        item_vectors=VECTORS,
        choices=lambda _: NO_CHOICES,
        sessions=sessions,
        users=(*sessions[:2], np.ones_like(sessions[2]), sessions[3]),
        popular=EVEN,
        repeat_rates=EVEN,
        category_repeat_rates=EVEN,
        repeat_intervals_s=EVEN,
    )
    list(build_indexes(layout, contents))
    return RecallIndexes.open(layout)


def similar(indexes: RecallIndexes, method: str) -> NDArray[np.int32]:
    """The rows of what is like the seed, best first."""
    query = query_like(indexes, SEED)
    rows = np.sort(pool(indexes, query, SIMILAR))
    rows = rows[rows != SEED]
    relevance, _ = fuse(method, *channel_scores(indexes, rows, query), SIMILAR)
    ranking: NDArray[np.int32] = rows[np.argsort(-relevance, kind="stable")]
    return ranking


@pytest.mark.parametrize("method", FUSION_METHODS)
def test_one_shared_session_of_one_user_puts_no_shoe_at_the_head(tmp_path: Path, method: str) -> None:
    ranking = similar(shop(tmp_path, together(1)), method)

    assert (ranking[: PHONES // 2] < PHONES).all()
    assert SHOE in ranking  # a candidate all the same


@pytest.mark.parametrize("method", FUSION_METHODS)
def test_many_shared_sessions_may(tmp_path: Path, method: str) -> None:
    ranking = similar(shop(tmp_path, together(500)), method)

    assert ranking[0] == SHOE


@pytest.mark.parametrize("method", FUSION_METHODS)
def test_what_everybody_bought_goes_with_nothing_in_particular(tmp_path: Path, method: str) -> None:
    """Forty users bought the shoe, whatever else they bought, and half of them the seed: that is what chance brings."""
    codes = np.repeat(np.arange(40), 2)
    rows = np.tile(np.array([SHOE, SEED, SHOE, PHONES - 1], np.int32), 20)
    indexes = shop(tmp_path, (codes, rows, np.full(80, 3.0, np.float32), np.arange(80) * 1.0))
    ranking = similar(indexes, method)

    assert (ranking[: PHONES // 2] < PHONES).all()
    for name in ("co_visit", "neighbours"):
        column = CHANNEL_COLUMN[name]
        scores, _ = channel_scores(indexes, np.array([SHOE], np.int32), query_like(indexes, SEED))
        assert scores[0, column] == 0.0, name
