"""The candidate pool: fair to channels, independent of their order of arrival."""

from __future__ import annotations

import numpy as np

from shopfuse.recall.found import NOTHING, Found
from shopfuse.recall.merge import merge


def found(*rows: int) -> Found:
    return Found(np.array(rows, np.int32), np.linspace(1, 0, len(rows), dtype=np.float32))


def test_rows_that_several_channels_found_come_first() -> None:
    assert merge({"a": found(1, 2, 3), "b": found(9, 3)}, 10).tolist() == [3, 1, 9, 2]


def test_each_channel_brings_its_best_rows_into_a_small_pool() -> None:
    pool = merge({"a": found(*range(100)), "b": found(*range(200, 300)), "c": found(400)}, 9)

    assert pool.tolist() == [0, 200, 400, 1, 201, 2, 202, 3, 203]


def test_the_order_of_arrival_does_not_matter() -> None:
    parts = {name: found(*np.random.default_rng(seed).permutation(50)) for seed, name in enumerate("abcd")}
    backwards = dict(reversed(parts.items()))

    assert merge(parts, 30).tolist() == merge(backwards, 30).tolist()
    assert merge(parts, 30).dtype == np.int32


def test_nothing_found_is_an_empty_pool() -> None:
    assert merge({}, 10).tolist() == []
    assert merge({"a": NOTHING}, 10).tolist() == []
    assert merge({"a": found(1)}, 0).tolist() == []
