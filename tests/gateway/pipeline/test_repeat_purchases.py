"""Whether what a user bought comes back: the request's word, else the category's, else the shop's; and why it does.

Cat bought item-011, which many buy again, every ten days until LAST_BOUGHT, and item-012, which nobody does, then.
"""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from shopfuse.ranking.repeats import DAY_S
from shopfuse.v1.item_pb2 import RankedItem, RequestContext
from shopfuse.v1.recommendation_pb2 import RecommendRequest
from tests.gateway.answers import codes, ids, refused
from tests.gateway.release_edits import edit_manifest
from tests.gateway.shop import Serve
from tests.gateway.tiny_release import KINDS, LAST_BOUGHT

BOUGHT = {"item-011", "item-012"}
KIND_OF_11 = f"Shop > {KINDS[11 % 4]}"


def request(choice: str = "unspecified", days: float = 30.0) -> RecommendRequest:
    """Cat's, so many days after LAST_BOUGHT."""
    return RecommendRequest(
        user_id="cat",
        context=RequestContext(time=Timestamp(seconds=int(LAST_BOUGHT + days * DAY_S))),
        page_size=100,
        repeat_purchases=f"REPEAT_PURCHASES_{choice.upper()}",
        explain=True,
    )


@pytest.mark.parametrize(
    ("choice", "days", "back"),
    [
        ("unspecified", 30.0, {"item-011"}),  # as the shop does: only what many come back to
        ("allow", 1.0, BOUGHT),
        ("never", 300.0, set()),
        ("when_due", 1.0, set()),
        ("when_due", 6.0, BOUGHT),
    ],
)
async def test_the_request_says_what_comes_back(serve: Serve, choice: str, days: float, back: set[str]) -> None:
    async with serve() as shop:
        answer = await shop.recommend(request(choice, days))

    assert set(ids(answer)) & BOUGHT == back
    assert len(ids(answer)) > 50  # the rest is not touched


@pytest.mark.parametrize(
    ("shop_says", "categories_say", "back"),
    [
        ("never", {}, set()),
        ("allow", {}, BOUGHT),
        ("never", {KIND_OF_11: "allow"}, {"item-011"}),
        ("allow", {KIND_OF_11: "never"}, {"item-012"}),
        ("allow", {KIND_OF_11: "allow", "Shop": "never"}, {"item-011"}),  # the longest path wins
        ("auto", {"shop": "allow", "No > Such > Thing": "never"}, BOUGHT),
    ],
)
async def test_a_category_wins_over_the_shop_and_the_request_over_both(
    copied: Path, serve: Serve, shop_says: str, categories_say: dict[str, str], back: set[str]
) -> None:
    edit_manifest(copied, "r1", repeat_purchases=shop_says, repeat_purchases_by_category=categories_say)
    async with serve() as shop:
        unsaid = await shop.recommend(request())
        never = await shop.recommend(request("never"))
        allowed = await shop.recommend(request("allow"))

    assert set(ids(unsaid)) & BOUGHT == back
    assert not set(ids(never)) & BOUGHT
    assert set(ids(allowed)) >= BOUGHT


@pytest.mark.parametrize(
    ("days", "item_id", "code", "text"),
    [
        (1.0, "item-011", "BOUGHT_BEFORE", "you had it a day ago"),
        (12.0, "item-011", "BUY_AGAIN_DUE", "you had it 12 days ago, and about every 20 days"),
        (20.0, "item-012", "BUY_AGAIN_DUE", "you had it 20 days ago; others come back to it after about 30 days"),
        (200.0, "item-011", "LONG_GONE", "you have not had it for 200 days"),
        (200.0, "item-013", "NEW_TO_YOU", "you have not had it yet"),
    ],
)
async def test_reasons_tell_how_an_item_was_had(serve: Serve, days: float, item_id: str, code: str, text: str) -> None:
    async with serve() as shop:
        answer = await shop.recommend(request("allow", days))
    item: RankedItem = next(item for item in answer.items if item.item_id == item_id)

    assert code in codes(item)
    assert text in [reason.text for reason in item.explanation.reasons]


async def test_pages_of_another_choice_do_not_mix(serve: Serve) -> None:
    first, other = request("allow"), request("never")
    first.page_size = other.page_size = 5
    async with serve() as shop:
        page = await shop.recommend(first)
        first.page_token = other.page_token = page.next_page_token
        following = await shop.recommend(first)
        refusal = await refused(shop.recommend(other))

    assert not set(ids(page)) & set(ids(following))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_unknown_choice_is_refused(serve: Serve) -> None:
    unknown = RecommendRequest(user_id="cat")
    unknown.MergeFromString(b"\x48\x09")  # field 9, value 9
    async with serve() as shop:
        refusal = await refused(shop.recommend(unknown))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields == ("repeat_purchases",)
