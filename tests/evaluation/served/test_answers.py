"""A gateway asked as evaluations ask it: all pages of a search, and photos in every way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from shopfuse.core.progress import silent
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.judgments import Topic
from shopfuse.evaluation.served.answers import PAGE, search_answer
from shopfuse.evaluation.served.photos import Photo, score_photos
from shopfuse.local.client import connect
from shopfuse.local.endpoints import Endpoints, write_endpoints
from shopfuse.v1.item_pb2 import RankedItem
from shopfuse.v1.search_pb2 import SearchRequest, SearchResponse
from shopfuse.v1.search_pb2_grpc import SearchServiceServicer, add_SearchServiceServicer_to_server

PAGES = {"": (["a", "b"], "2"), "2": (["c"], "3"), "3": (["d"], "")}
BY_IMAGE = {b"lamp": ["lamp", "sofa"], b"sofa": ["lamp", "sofa"]}


class Gateway(SearchServiceServicer):
    """Three pages for any words; an image alone gets what BY_IMAGE says, with words their items are left out."""

    def __init__(self) -> None:
        self.requests: list[SearchRequest] = []

    def Search(self, request: SearchRequest, context: grpc.ServicerContext) -> SearchResponse:  # noqa: N802
        self.requests.append(request)
        ids, token = PAGES[request.page_token]
        if request.query_image:
            ids, token = ([] if request.query else BY_IMAGE[request.query_image]), ""
        return SearchResponse(items=[RankedItem(item_id=item_id) for item_id in ids], next_page_token=token)


@pytest.fixture
def served() -> Iterator[tuple[Gateway, str]]:
    gateway, server = Gateway(), grpc.server(ThreadPoolExecutor(2))
    add_SearchServiceServicer_to_server(gateway, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield gateway, f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_a_search_is_followed_to_its_last_page(served: tuple[Gateway, str]) -> None:
    gateway, address = served

    with connect(address) as client:
        answer = search_answer(client, Topic("sofa", "u1", "holiday", {}))

    assert answer == ["a", "b", "c", "d"]
    assert [request.page_token for request in gateway.requests] == ["", "2", "3"]
    for request in gateway.requests:
        assert (request.query, request.user_id, request.context.scene) == ("sofa", "u1", "holiday")
        assert request.page_size == PAGE


def test_photos_are_searched_by_image_by_words_and_by_both(served: tuple[Gateway, str], tmp_path: Path) -> None:
    gateway, address = served
    shop = Workspace.create(tmp_path / "shop")
    write_endpoints(shop.root, Endpoints(address, "", "", "", os.getpid()))
    photos = [Photo(b"lamp", "lamp", ("Home",)), Photo(b"sofa", "sofa", ("Home",))]

    rows = score_photos(photos, shop, silent)

    assert list(rows) == ["image", "words, level 1", "image and words, level 1"]
    assert (rows["image"]["top1"], rows["image"]["top5"], rows["image"]["photos"]) == (0.5, 1.0, 2.0)
    assert rows["words, level 1"]["top5"] == rows["image and words, level 1"]["top5"] == 0.0
    assert [(request.query, request.query_image) for request in gateway.requests[2:4]] == [("Home", b""), ("Home", b"")]
    assert all(request.filter.include_unavailable for request in gateway.requests)
