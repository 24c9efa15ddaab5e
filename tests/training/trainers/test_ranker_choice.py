"""What is adopted where there are no impressions, or where nothing beats a simple row."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
from torch import nn

from shopfuse.ranking.tensors import TASKS
from shopfuse.training.checkpoints.shop_models import RELEVANCE_ONLY
from shopfuse.training.examples.logged_features import NO_POSITION
from shopfuse.training.examples.ranker_data import RankerData
from shopfuse.training.examples.ranker_inputs import RankerInputs
from shopfuse.training.fusion.ranker import FusionRanker
from shopfuse.training.trainers.ranker_choice import Fused, choose_ranker, list_ndcg, list_probabilities, similar_lead
from shopfuse.training.trainers.tower_losses import TowerHeads
from tests.training.planted_lists import POPULARITY, planted_items, popular_items_are_clicked


def never_shown(data: RankerData) -> RankerData:
    """The same lists as if they were those of visits."""
    position = np.full_like(data.lists.position, NO_POSITION)
    return replace(data, lists=replace(data.lists, position=position))


@pytest.mark.parametrize("method", ["stacking", "attention"])
def test_without_impressions_a_learned_method_tells_an_order_and_no_probability_of_a_click(method: str) -> None:
    data, items = never_shown(popular_items_are_clicked(200)), planted_items()

    fused, _ = choose_ranker(data, items, TowerHeads(), method, seed=0)

    told = list_probabilities(fused.ranker, data, items, np.arange(20))
    assert fused.tasks == {"relevance": 1.0}
    assert not told[..., [TASKS.index(task) for task in ("click", "cart", "purchase")]].any()
    assert (told[..., TASKS.index("relevance")] > 0).all()


def test_what_no_method_beats_is_adopted_alone_and_by_name() -> None:
    data, items = never_shown(popular_items_are_clicked(200)), planted_items()
    chance = np.random.default_rng(0).permutation(data.lists.outcome.size).reshape(data.lists.outcome.shape)
    popularity = data.lists.channel_scores.max(-1)
    wanted = (popularity >= np.sort(popularity, axis=1)[:, -2:-1]) & (data.lists.rows >= 0)
    data = replace(data, lists=replace(data.lists, outcome=wanted.astype(np.int8), features=0 * data.lists.features))
    data.lists.channel_scores[: len(data) // 2] = (chance[: len(data) // 2, :, None] > 800) * 0.5  # misleads learners

    fused, metrics = choose_ranker(data, items, TowerHeads(), "auto", seed=0)

    assert metrics["adopted"] == fused.name == "popularity"
    assert metrics["validation_ndcg"]["popularity"] == pytest.approx(1.0)


def of_similar_items(data: RankerData) -> RankerData:
    """The same lists as if others like item 0 had been asked for."""
    like = np.tile(planted_items().vectors[0].astype(np.float32), (len(data), 1))
    return replace(data, query=like, lists=replace(data.lists, seed=np.zeros(len(data), np.int32)))


class ByPopularity(nn.Module):
    """Knows from the features what is wanted."""

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        popularity = RankerInputs(*inputs).features[..., POPULARITY, None]
        return popularity.expand(-1, -1, len(TASKS)), popularity


def test_a_ranker_leads_on_held_out_visits_where_the_channels_tell_less() -> None:
    data, items = never_shown(popular_items_are_clicked(200)), planted_items()
    asked = of_similar_items(data)
    mute = replace(asked, lists=replace(asked.lists, channel_scores=0 * data.lists.channel_scores))
    ranker = Fused("attention", cast(FusionRanker, ByPopularity()), dict(RELEVANCE_ONLY), 0.0)
    chosen = np.arange(100)

    assert similar_lead(ranker, mute, items, chosen)["low"] > 0
    assert similar_lead(ranker, asked, items, chosen)["low"] < 0


def test_a_learned_method_that_is_no_better_than_the_channels_does_not_order_similar_items() -> None:
    data, items = never_shown(popular_items_are_clicked(100)), planted_items()
    asked = of_similar_items(data)

    fused, metrics = choose_ranker(asked, items, TowerHeads(), "stacking", seed=0)

    assert metrics["similar_lead"]["lists"] > 0
    assert not fused.ranks_similar


def test_without_a_visit_the_channels_order_similar_items() -> None:
    fused, metrics = choose_ranker(popular_items_are_clicked(100), planted_items(), TowerHeads(), "stacking", seed=0)

    assert metrics["similar_lead"]["lists"] == 0
    assert not fused.ranks_similar


def test_equal_scores_count_against_what_is_wanted() -> None:
    data = popular_items_are_clicked(50)
    everywhere = np.arange(len(data))

    tied = list_ndcg(data, everywhere, np.zeros(data.lists.rows.shape, np.float32))
    worst = list_ndcg(data, everywhere, -data.lists.outcome.astype(np.float32))

    assert tied == pytest.approx(worst)


def test_relevance_survives_the_checkpoint() -> None:
    data, items = never_shown(popular_items_are_clicked(100)), planted_items()
    fused, _ = choose_ranker(data, items, TowerHeads(), "stacking", seed=0)
    other, _ = choose_ranker(popular_items_are_clicked(100), items, TowerHeads(), "stacking", seed=0)

    other.ranker.load_state_dict(fused.ranker.state_dict())

    expected = list_probabilities(fused.ranker, data, items, np.arange(10))
    assert torch.equal(
        torch.from_numpy(list_probabilities(other.ranker, data, items, np.arange(10))), torch.from_numpy(expected)
    )
