"""Weights from judgments: chosen on some queries, judged on others, and kept for the next build."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from shopfuse.datasets.search_weights import SearchWeightsError, read_search_weights, write_search_weights
from shopfuse.evaluation.offline.weight_search import JudgedPool, WeightSearchError, choose, search_weights
from shopfuse.metrics.ndcg import condensed_ndcg, ndcg
from shopfuse.ranking.channels import CHANNEL_COLUMN, CHANNELS, RECOMMEND, SEARCH
from shopfuse.ranking.fusion import FloatArray, channel_weights, fuse

IN_USE = {"lexical": 1.0, "semantic": 2.0, "popular": 0.05}
ITEMS = 30


def pool(seed: int, right: str, noise: float = 0.05) -> JudgedPool:
    """A query on which the channel `right` tells the grades, and the others nothing."""
    rng = np.random.default_rng(seed)
    grades = rng.integers(0, 4, ITEMS).astype(np.float64)
    opinions = np.zeros((ITEMS, len(CHANNELS)), np.float32)
    for name in ("lexical", "semantic"):
        opinions[:, CHANNEL_COLUMN[name]] = rng.random(ITEMS)
    opinions[:, CHANNEL_COLUMN[right]] = grades / 3 + noise * rng.normal(size=ITEMS)
    grades[rng.random(ITEMS) < 0.3] = np.nan
    return JudgedPool(opinions, np.ones_like(opinions), grades, grades[~np.isnan(grades)].tolist())


def as_array(weights: Mapping[str, float]) -> FloatArray:
    return np.array([weights.get(name, 0.0) for name in CHANNELS], np.float32)


def test_a_pool_is_measured_as_a_ranking_is() -> None:
    judged = pool(0, "lexical")
    weights = channel_weights(SEARCH)
    order = np.argsort(-(judged.opinions @ weights), kind="stable")
    ids = [str(row) for row in order]
    grades = {str(row): grade for row, grade in enumerate(judged.grades.tolist()) if not np.isnan(grade)}

    assert judged.measure(weights) == pytest.approx((ndcg(ids, grades), condensed_ndcg(ids, grades)))


def test_weights_follow_the_channel_that_tells_the_grades() -> None:
    search = search_weights([pool(seed, "lexical") for seed in range(20)], IN_USE, folds=4)

    assert all(fold.weights["lexical"] > fold.weights["semantic"] for fold in search.folds)
    assert search.held_out[0] > search.in_use[0] + 0.1
    assert sum(fold.queries for fold in search.folds) == 20
    assert set(search.chosen) == set(IN_USE)


def test_held_out_queries_do_not_choose_their_weights() -> None:
    """One fold a query: what is chosen for the odd query out is chosen by the others, however bad that is for it."""
    pools = [pool(seed, "lexical") for seed in range(15)]
    odd = pool(99, "semantic")
    search = search_weights([*pools, odd], IN_USE, folds=16)

    left_out = min(search.folds, key=lambda fold: fold.held_out[0])
    assert left_out.weights["lexical"] > left_out.weights["semantic"]
    assert left_out.held_out[0] == pytest.approx(odd.measure(as_array(left_out.weights))[0])


def test_weights_in_use_stay_where_the_gain_may_be_luck() -> None:
    rng = np.random.default_rng(0)
    value = np.repeat(rng.random((1, 12)), 40, axis=0)
    luck = np.stack([value + 0.2 * rng.normal(size=value.shape)] * 2, axis=2)
    luck[0] = value[0][:, None]
    sure = luck.copy()
    sure[7] = luck[0] + 0.1

    assert choose(luck[:2]) == 0
    assert choose(sure[[0, 7]]) == 1


@pytest.mark.parametrize("folds", [1, 4])
def test_too_few_queries_are_refused(folds: int) -> None:
    with pytest.raises(WeightSearchError, match="expected 2 to 3 folds"):
        search_weights([pool(seed, "lexical") for seed in range(3)], IN_USE, folds)


def test_kept_weights_are_read_again_and_rank(tmp_path: Path) -> None:
    assert read_search_weights(tmp_path) == {}
    write_search_weights(tmp_path, {"lexical": 0.0, "semantic": 4.0}, {"queries": 3})
    learned = read_search_weights(tmp_path)
    scores = np.random.default_rng(0).random((9, len(CHANNELS))).astype(np.float32)
    mask = np.zeros_like(scores)
    mask[:, [CHANNEL_COLUMN["lexical"], CHANNEL_COLUMN["semantic"]]] = 1.0

    relevance, _ = fuse("weighted", scores, mask, SEARCH, learned)

    assert learned == {"lexical": 0.0, "semantic": 4.0}
    assert np.argsort(-relevance).tolist() == np.argsort(-scores[:, CHANNEL_COLUMN["semantic"]]).tolist()
    assert channel_weights(RECOMMEND, learned).tolist() == channel_weights(RECOMMEND).tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "expected weights by channel"),
        ('{"weights": {"lexial": 1}}', "no channel 'lexial'"),
        ('{"weights": {"lexical": -1}}', "weight of 'lexical' is -1"),
        ('{"weights": {"lexical": NaN}}', "weight of 'lexical' is nan"),
        ('{"weights": {"lexical": "x"}}', "expected weights by channel"),
    ],
)
def test_a_wrong_file_of_weights_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "search_weights.json").write_text(content)
    assert isinstance(json.loads(content), dict)

    with pytest.raises(SearchWeightsError, match=message) as caught:
        read_search_weights(tmp_path)
    assert str(tmp_path / "search_weights.json") in str(caught.value)
