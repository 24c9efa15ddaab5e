"""Score-level fusion, the numpy reference: order, range, and what a missing channel means."""

import numpy as np
import pytest

from shopfuse.ranking.channels import (
    CHANNEL_COLUMN,
    CHANNELS,
    RANK,
    RECOMMEND,
    SEARCH,
    SIMILAR,
    TABLE,
    Surface,
)
from shopfuse.ranking.fusion import FUSION_METHODS, FloatArray, fuse, votes

LEXICAL = CHANNEL_COLUMN["lexical"]


def _channels(candidates: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    scores = rng.random((candidates, len(CHANNELS))).astype(np.float32)
    return scores, np.ones_like(scores)


@pytest.mark.parametrize("method", FUSION_METHODS)
@pytest.mark.parametrize("surface", [SEARCH, RECOMMEND, SIMILAR, RANK])
def test_relevance_and_weights_are_shares(method: str, surface: Surface) -> None:
    relevance, weights = fuse(method, *_channels(40), surface)

    assert ((relevance >= 0) & (relevance <= 1)).all()
    assert weights.sum(1) == pytest.approx(1.0, abs=1e-4)
    assert (weights[:, 1] > 0).all()  # the visual channel speaks of the image


@pytest.mark.parametrize("method", FUSION_METHODS)
def test_one_channel_alone_keeps_its_own_order(method: str) -> None:
    scores, mask = _channels(40)
    mask[:] = 0.0
    mask[:, LEXICAL] = 1.0

    relevance, _ = fuse(method, scores, mask, SEARCH)

    assert list(np.argsort(-relevance, kind="stable")) == list(np.argsort(-scores[:, LEXICAL], kind="stable"))


@pytest.mark.parametrize("method", FUSION_METHODS)
def test_a_masked_channel_changes_nothing_whatever_it_holds(method: str) -> None:
    scores, mask = _channels(12)
    mask[:, CHANNEL_COLUMN["semantic"]] = 0.0
    wild = scores.copy()
    wild[:, CHANNEL_COLUMN["semantic"]] = 1e6

    assert np.array_equal(fuse(method, scores, mask, SEARCH)[0], fuse(method, wild, mask, SEARCH)[0])


@pytest.mark.parametrize("method", FUSION_METHODS)
def test_without_any_channel_every_item_scores_zero(method: str) -> None:
    scores, mask = _channels(5)

    relevance, weights = fuse(method, scores, np.zeros_like(mask), RECOMMEND)

    assert not relevance.any()
    assert not weights.any()


def test_votes_are_reciprocal_ranks_and_ties_share_a_rank() -> None:
    scores = np.zeros((4, len(CHANNELS)), np.float32)
    scores[:, LEXICAL] = [3.0, 5.0, 3.0, 0.0]

    ballot = votes(scores, np.ones_like(scores))[:, LEXICAL]

    assert ballot == pytest.approx([61 / 62, 1.0, 61 / 62, 0.0])


def test_an_image_counts_as_much_as_all_words() -> None:
    words = sum(channel.search_weight for channel in TABLE if channel.modality == "text")

    assert TABLE[CHANNEL_COLUMN["visual"]].search_weight == words
