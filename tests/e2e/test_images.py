"""Search by image on a trained shop, through the program, the real gateway and the real Triton."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopfuse.datasets.workspace import Workspace
from shopfuse.local.client import Client, call
from shopfuse.local.stack import Stack
from shopfuse.v1.recommendation_pb2 import RecommendSimilarItemsRequest
from shopfuse.v1.search_pb2 import SearchRequest
from tests.e2e.test_commands import document, shopfuse

TIMEOUT_S = 10.0
SHOWN = 8


@pytest.fixture(scope="module")
def images(shop: Workspace) -> list[tuple[str, bytes]]:
    """Items that can be bought, with their images."""
    items = shop.items().filter("available").select("item_id")
    return shop.images().join(items, on="item_id").head(SHOWN).collect().rows()


def looks(response: object) -> dict[str, float]:
    return {
        item.item_id: recalled.score
        for item in response.items  # type: ignore[attr-defined]
        for recalled in item.recall_channels
        if recalled.channel == "visual"
    }


def test_an_items_own_image_finds_it_first(client: Client, images: list[tuple[str, bytes]]) -> None:
    for item_id, image in images:
        answer = call(client.searches.Search, SearchRequest(query_image=image, explain=True), TIMEOUT_S)

        assert not answer.degraded, answer.degradations
        assert looks(answer)[item_id] == pytest.approx(1.0, abs=0.01)
        assert item_id in [item.item_id for item in answer.items[:3]]  # others may look the same
        assert answer.items[0].explanation.reasons[0].code == "LOOKS_ALIKE"
        assert answer.items[0].explanation.modality_weights["image"] > 0.5


def test_words_beside_an_image_count(client: Client, images: list[tuple[str, bytes]]) -> None:
    _, image = images[0]
    alone = call(client.searches.Search, SearchRequest(query_image=image), TIMEOUT_S)
    both = call(client.searches.Search, SearchRequest(query="sofa", query_image=image), TIMEOUT_S)

    assert [item.item_id for item in alone.items] != [item.item_id for item in both.items]
    assert {recalled.channel for item in both.items for recalled in item.recall_channels} >= {"semantic", "visual"}


def test_similar_items_look_alike(client: Client, images: list[tuple[str, bytes]]) -> None:
    shares = []
    for item_id, _ in images:
        request = RecommendSimilarItemsRequest(item_id=item_id)
        shares.append(len(looks(call(client.recommendations.RecommendSimilarItems, request, TIMEOUT_S))))

    assert np.mean(shares) > 0


def test_the_commands_take_images(
    found_stack: Stack, shop: Workspace, images: list[tuple[str, bytes]], tmp_path: Path
) -> None:
    workspace, labels = str(shop.root), ["photo,item_id"]
    for at, (item_id, image) in enumerate(images):
        (tmp_path / f"{at}.png").write_bytes(image)
        labels.append(f"{at}.png,{item_id}")
    (tmp_path / "labels.csv").write_text("\n".join(labels))
    answer = document(shopfuse("search", "--image", str(tmp_path / "0.png"), "-w", workspace, "--json"))
    measured = document(
        shopfuse(
            "evaluate", "images", str(tmp_path), "--labels", str(tmp_path / "labels.csv"), "-w", workspace, "--json"
        )
    )
    missing = shopfuse("search", "--image", str(tmp_path / "none.png"), "-w", workspace)

    assert answer["items"]
    rows: dict[str, dict[str, float]] = measured["rows"]  # type: ignore[assignment]
    assert {"image", "words, level 1", "image and words, level 1"} <= set(rows)
    assert rows["image"]["photos"] == SHOWN
    assert rows["image"]["top5"] >= 0.8 >= rows["words, level 1"]["top1"]
    assert missing.returncode == 1 and "none.png: cannot be read" in missing.stderr
