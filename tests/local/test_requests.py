"""Requests of the API from plain values: what is left out stays absent, what cannot be sent is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopfuse.core.errors import ShopfuseError
from shopfuse.local.requests import MAX_IMAGE_BYTES, item_filter, read_image, recommend_request, search_request


def test_a_price_that_is_not_bounded_is_absent() -> None:
    bounded = item_filter(["acme"], ["Home > Sofas"], [("colour", "red"), ("size", "a=b")], 0.0, None)

    assert bounded.HasField("min_price") and bounded.min_price == 0.0
    assert not bounded.HasField("max_price")
    assert [(one.name, list(one.values)) for one in bounded.attributes] == [("colour", ["red"]), ("size", ["a=b"])]


def test_a_request_says_all_that_it_was_made_of() -> None:
    request = search_request("sofa", image=b"x", user="u1", scene="holiday", page_size=5, page_token="t", explain=True)

    assert (request.query, request.query_image, request.user_id, request.context.scene) == (
        "sofa",
        b"x",
        "u1",
        "holiday",
    )
    assert (request.page_size, request.page_token, request.explain) == (5, "t", True)


def test_a_request_is_of_now_unless_it_names_a_moment() -> None:
    now, earlier = recommend_request("u1"), recommend_request("u1", at=1_700_000_000.25)

    assert not now.context.HasField("time")
    assert (earlier.context.time.seconds, earlier.context.time.nanos) == (1_700_000_000, 250_000_000)


def test_an_image_that_cannot_be_sent_is_named(tmp_path: Path) -> None:
    whole, large = tmp_path / "whole.jpg", tmp_path / "large.jpg"
    whole.write_bytes(bytes(MAX_IMAGE_BYTES))
    large.write_bytes(bytes(MAX_IMAGE_BYTES + 1))

    assert len(read_image(whole)) == MAX_IMAGE_BYTES
    with pytest.raises(ShopfuseError, match=r"large.jpg: more than 2 MiB"):
        read_image(large)
    with pytest.raises(ShopfuseError, match=r"none.jpg: cannot be read: No such file"):
        read_image(tmp_path / "none.jpg")
