"""Stacking: what level 1 learns, from what it learns it, and how its penalty is chosen."""

import numpy as np
import torch

from shopfuse.ranking.tensors import submodels
from shopfuse.training.examples.ranker_inputs import RankerInputs
from shopfuse.training.fusion.ranker import FusionRanker
from shopfuse.training.fusion.stacking import LEVEL_ZERO, SURFACES, Stacking, surface_of
from shopfuse.training.trainers.ranker import split_lists
from shopfuse.training.trainers.ranker_choice import list_ndcg, list_probabilities
from shopfuse.training.trainers.stacking import folds_in_time, train_stacking
from tests.training.planted_lists import POPULAR, POPULARITY, planted_items, popular_items_are_clicked
from tests.training.random_tensors import random_inputs

RANKER = submodels(64)["fusion_ranker"]


def _inputs(candidates: int) -> RankerInputs:
    return RankerInputs(**random_inputs(RANKER, 2, {"candidates": candidates}))


def test_every_fold_is_predicted_by_what_lies_before_it() -> None:
    folds = folds_in_time(103)

    assert [past.stop for past, _ in folds] == [following.start for _, following in folds]
    assert folds[-1][1].stop == 103 and folds[0][0].stop > 0


def test_level_one_learns_which_channel_to_trust() -> None:
    data, items = popular_items_are_clicked(), planted_items()
    data.lists.channel_scores[..., POPULAR] = 1.0 - data.lists.features[..., POPULARITY]  # the least popular is best

    ranker, _, metrics = train_stacking(data, items, seed=0)

    _, chosen = split_lists(len(data))
    plain = list_probabilities(FusionRanker("weighted").eval(), data, items, chosen)[..., -1]
    stacked = list_probabilities(ranker, data, items, chosen)[..., 0]
    assert list_ndcg(data, chosen, stacked) > list_ndcg(data, chosen, plain) + 0.1
    losses = metrics["stacking"]["out_of_time_loss"]
    assert losses[str(metrics["stacking"]["penalty"])] == min(losses.values())


def test_it_sees_neither_features_nor_the_newest_lists() -> None:
    data, items = popular_items_are_clicked(160), planted_items()
    other = popular_items_are_clicked(160)
    _, newest = split_lists(len(data))
    other.lists.features[:] = 7.0
    other.lists.outcome[newest] = 4 - other.lists.outcome[newest]

    first, second = (train_stacking(lists, items, seed=0)[0] for lists in (data, other))

    assert all(torch.equal(first.state_dict()[name], value) for name, value in second.state_dict().items())


def test_padding_changes_no_score() -> None:
    torch.manual_seed(0)
    stacking = Stacking().eval()
    torch.nn.init.normal_(stacking.weight)
    inputs = _inputs(20)
    inputs = inputs._replace(candidate_mask=torch.ones(2, 20))
    wide = inputs._replace(
        **{
            tensor.name: torch.nn.functional.pad(value, [0, 0] * (value.dim() - 2) + [0, 12], value=1.0)
            for tensor, value in zip(RANKER.inputs, inputs, strict=True)
            if "candidates" in tensor.dims
        }
    )
    wide.candidate_mask[:, 20:] = 0.0

    with torch.no_grad():
        plain, padded = stacking(inputs).logits, stacking(wide).logits

    assert torch.allclose(plain, padded[:, :20], atol=1e-5)


def test_level_zero_holds_the_methods_and_channels_and_each_request_has_one_surface() -> None:
    inputs = _inputs(5)
    flags = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])

    said, shares = Stacking().level_zero(inputs)
    surfaces = surface_of(flags[:, :1], flags[:, 1:])

    assert said.shape == (2, 5, len(LEVEL_ZERO)) and bool(torch.isfinite(said).all())
    assert bool((shares >= 0).all())
    assert [SURFACES[int(place)] for place in surfaces.argmax(-1)] == ["recommend", "similar", "search", "search"]
    assert np.allclose(surfaces.sum(-1), 1.0)
