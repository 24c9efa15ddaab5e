"""Serialised pieces against protobuf itself."""

from __future__ import annotations

import numpy as np

from shopfuse.v1 import item_pb2, search_pb2
from shopfuse_gateway.wire import length_delimited, with_numbers


def test_pieces_of_an_item_merge_into_what_protobuf_would_have_built() -> None:
    scores = np.array([0.5, 0.0, -1.5], np.float32)
    clicks = np.array([0.0, 1.0, 0.25], np.float32)
    channel_score = item_pb2.ChannelScore(channel="semantic", score=1.0)

    heads = [item_pb2.RankedItem(item_id=f"i{at}").SerializeToString() for at in range(3)]
    numbers = with_numbers(
        [(item_pb2.RankedItem(score=1.0), scores), (item_pb2.RankedItem(task_scores={"click": 1.0}), clicks)]
    )
    channels = with_numbers([(item_pb2.RankedItem(recall_channels=[channel_score]), scores)])
    items = [b"".join(parts) for parts in zip(heads, numbers, channels, strict=True)]
    response = search_pb2.SearchResponse.FromString(length_delimited(1, items))

    assert list(response.items) == [
        item_pb2.RankedItem(
            item_id=f"i{at}",
            score=scores[at],
            task_scores={"click": clicks[at]},
            recall_channels=[item_pb2.ChannelScore(channel="semantic", score=scores[at])],
        )
        for at in range(3)
    ]


def test_long_messages_have_long_lengths() -> None:
    items = [item_pb2.RankedItem(title="x" * length).SerializeToString() for length in (1, 200, 20_000)]
    response = search_pb2.SearchResponse.FromString(length_delimited(1, items))

    assert [len(item.title) for item in response.items] == [1, 200, 20_000]


def test_no_rows_are_no_bytes() -> None:
    assert with_numbers([(item_pb2.RankedItem(score=1.0), np.zeros(0, np.float32))]) == []
    assert length_delimited(1, []) == b""
