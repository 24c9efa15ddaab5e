"""Item ids of shops as they are, with slashes, spaces and letters of any script, pass through every method."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shopfuse.recall.groups import group_codes, write_groups
from shopfuse.release.verify import sha256_file
from shopfuse.v1 import item_pb2
from shopfuse.v1 import recommendation_pb2 as recommendation
from shopfuse.v1.search_pb2 import SearchRequest
from tests.gateway.release_edits import edit_manifest, layout_of, manifest_of, sign_files
from tests.gateway.shop import Serve
from tests.gateway.tiny_release import ITEMS, catalogue, write_store

CUP, UMLAUTS, LONG = "CUP/0-A b", "\u00e4/\u00f6 1", "\u00f6" * 64
NAMES = {0: CUP, ITEMS - 2: UMLAUTS, ITEMS - 1: LONG}  # the first item and the last two keep their places in the order
ALL = item_pb2.ItemFilter(include_unavailable=True)


@pytest.fixture
def renamed(copied: Path) -> Path:
    """The workspace with such ids in release r1 and in its store."""
    items = [replace(item, item_id=NAMES.get(at, item.item_id)) for at, item in enumerate(catalogue())]
    path = layout_of(copied, "r1").items / "ids.npy"
    np.save(path, np.array([item.item_id.encode() for item in items]))
    name = str(path.relative_to(layout_of(copied, "r1").root))
    edit_manifest(copied, "r1", files=manifest_of(copied, "r1")["files"] | {name: sha256_file(path)})
    store = copied / "state" / "store.lmdb"
    store.unlink()
    write_store(store, items)
    return copied


async def test_any_id_is_found_ranked_recommended_from_and_excluded(renamed: Path, serve: Serve) -> None:
    first = catalogue()[0]
    async with serve() as shop:
        searched = await shop.search(SearchRequest(query=first.title, page_size=ITEMS, filter=ALL))
        left = await shop.search(
            SearchRequest(query=first.title, page_size=ITEMS, filter=ALL, exclude_item_ids=[CUP, UMLAUTS])
        )
        ranked = await shop.rank(
            recommendation.RankItemsRequest(item_ids=[UMLAUTS, LONG, CUP, "item-001", "gone / \u00e9"])
        )
        similar = await shop.similar(recommendation.RecommendSimilarItemsRequest(item_id=CUP, page_size=5))
        recommended = await shop.recommend(
            recommendation.RecommendRequest(user_id="bob", page_size=ITEMS, filter=ALL, exclude_item_ids=[LONG])
        )

    ids = [item.item_id for item in searched.items]
    assert {CUP, UMLAUTS, LONG} <= set(ids)
    assert next(item for item in searched.items if item.item_id == CUP).title == first.title
    assert {item.item_id for item in left.items} == set(ids) - {CUP, UMLAUTS}
    assert {item.item_id for item in ranked.items} == {UMLAUTS, LONG, CUP, "item-001", "gone / \u00e9"}
    assert similar.items and CUP not in {item.item_id for item in similar.items}
    assert recommended.items and LONG not in {item.item_id for item in recommended.items}


async def test_any_id_may_be_that_of_a_variant(renamed: Path, serve: Serve) -> None:
    items = [replace(item, item_id=NAMES.get(at, item.item_id), group_id=None) for at, item in enumerate(catalogue())]
    for at in NAMES:
        items[at] = replace(items[at], group_id="cups")
    layout = layout_of(renamed, "r1")
    write_groups(layout.items, group_codes([item.group_id for item in items]))
    sign_files(renamed, "r1", layout.items / "group.npy")
    (renamed / "state" / "store.lmdb").unlink()
    write_store(renamed / "state" / "store.lmdb", items)
    async with serve() as shop:
        answer = await shop.recommend(recommendation.RecommendRequest(page_size=100, filter=ALL))

    cups = [item for item in answer.items if item.group_id == "cups"]
    assert len(cups) == 1
    assert {cups[0].item_id, *(variant.item_id for variant in cups[0].variants)} == set(NAMES.values())
