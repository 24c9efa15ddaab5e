"""The trained ranker: padding and neighbours change nothing, missing inputs are missing, training repeats."""

from typing import Any

import numpy as np
import torch

from shopfuse.ranking.channels import CHANNEL_COLUMN, CHANNELS
from shopfuse.ranking.features import CONTEXT_FEATURES, FEATURES
from shopfuse.ranking.tensors import HISTORY, TASKS, pad_rows, submodels
from shopfuse.training.fusion_ranker import FusionRanker
from shopfuse.training.logged_features import NOT_SHOWN, LoggedLists
from shopfuse.training.ranker_choice import choose_tasks, list_ndcg
from shopfuse.training.ranker_data import RankerData
from shopfuse.training.snapshot import ItemVectors
from shopfuse.training.tower_losses import TowerHeads
from shopfuse.training.train_ranker import RankerTraining, split_lists, train_ranker
from shopfuse.training.user_inputs import UserInputs

from .random_tensors import random_inputs

RANKER = submodels(64)["fusion_ranker"]
PER_CANDIDATE = {tensor.name for tensor in RANKER.inputs if "candidates" in tensor.dims}
POPULARITY = FEATURES.index("popularity")


def _ranker() -> FusionRanker:
    torch.manual_seed(0)
    return FusionRanker().eval()


def _inputs(candidates: int, batch: int = 1) -> dict[str, torch.Tensor]:
    inputs = random_inputs(RANKER, batch, {"candidates": candidates})
    inputs["candidate_mask"] = torch.ones(batch, candidates)
    inputs["modality_mask"][..., 0] = 1.0
    return inputs


@torch.no_grad()
def _run(ranker: FusionRanker, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    tasks, weights = ranker(**inputs)
    return tasks, weights


def test_padding_and_other_candidates_change_no_score() -> None:
    ranker, inputs = _ranker(), _inputs(20)
    padded = {
        name: torch.from_numpy(pad_rows(value[0].numpy(), 64))[None] if name in PER_CANDIDATE else value
        for name, value in inputs.items()
    }
    alone = {name: value[:, :1] if name in PER_CANDIDATE else value for name, value in inputs.items()}

    plain, wide, single = (_run(ranker, given)[0] for given in (inputs, padded, alone))

    assert torch.allclose(plain[0], wide[0, :20], atol=1e-6)
    assert torch.allclose(plain[0, :1], single[0], atol=1e-6)
    assert not wide[0, 20:].any()


def test_modality_weights_are_shares_of_what_is_there() -> None:
    inputs = _inputs(30, batch=2)

    _, weights = _run(_ranker(), inputs)

    assert torch.allclose(weights.sum(-1), torch.ones(2, 30), atol=1e-5)
    assert not weights[inputs["modality_mask"] == 0].any()


def test_tasks_are_nested_probabilities() -> None:
    tasks, _ = _run(_ranker(), _inputs(30))

    click, cart, purchase, relevance = (tasks[..., TASKS.index(name)] for name in TASKS)
    assert bool(((click >= cart) & (click >= purchase) & (cart > 0)).all())
    assert not relevance.any()


def test_an_absent_query_says_nothing_whatever_its_vector_holds() -> None:
    ranker, inputs = _ranker(), _inputs(10)
    inputs["query_present"] = torch.zeros(1, 1)
    other = {**inputs, "query_vector": 100 * inputs["query_vector"]}

    assert torch.equal(_run(ranker, inputs)[0], _run(ranker, other)[0])


def test_a_masked_channel_says_nothing_whatever_it_holds() -> None:
    ranker, inputs = _ranker(), _inputs(10)
    column = CHANNEL_COLUMN["lexical"]
    inputs["channel_mask"][..., column] = 0.0
    other = {**inputs, "channel_scores": inputs["channel_scores"].clone()}
    other["channel_scores"][..., column] = 1e3

    assert torch.equal(_run(ranker, inputs)[0], _run(ranker, other)[0])


def _shop_where_popular_items_are_clicked(lists: int = 400, length: int = 8) -> tuple[RankerData, ItemVectors]:
    rng = np.random.default_rng(0)
    items, shape = 50, (lists, length)
    rows = np.stack([rng.choice(items, length, replace=False) for _ in range(lists)]).astype(np.int32)
    popularity = np.linspace(0, 1, items, dtype=np.float32)[rows]
    features = np.zeros((*shape, len(FEATURES)), np.float32)
    features[..., POPULARITY] = popularity
    position = np.tile(np.arange(length, dtype=np.int16), (lists, 1))
    position[:, -2:] = NOT_SHOWN
    clicked = (rng.random(shape) < popularity**4) & (position >= 0)
    clicked[:, 0] |= ~clicked.any(1)
    zeros: Any = np.zeros((*shape, len(CHANNELS)), np.float32)
    logged = LoggedLists(
        np.arange(lists, dtype=np.int32),
        np.full(lists, -1, np.int32),
        rows,
        position,
        clicked.astype(np.int8),
        features,
        zeros,
        zeros,
    )
    vectors = (rng.standard_normal((lists, 128)) / np.sqrt(128)).astype(np.float32)
    asked = UserInputs(
        np.full((lists, HISTORY), -1, np.int32),
        np.zeros((lists, HISTORY), np.int64),
        np.zeros((lists, HISTORY), np.float32),
        np.zeros((lists, HISTORY), np.float32),
        np.zeros((lists, len(CONTEXT_FEATURES)), np.float32),
    )
    tokens = rng.standard_normal((items, 3, 64)).astype(np.float16)
    of_items = (rng.standard_normal((items, 128)) / np.sqrt(128)).astype(np.float16)
    item_vectors = ItemVectors(of_items, tokens, np.ones((items, 3), np.float32))
    return RankerData(logged, np.zeros_like(vectors), vectors, asked), item_vectors


def test_training_finds_what_is_clicked_and_repeats_by_seed() -> None:
    data, items = _shop_where_popular_items_are_clicked()
    settings, heads = RankerTraining(epochs=12, batch=16, learning_rate=5e-3), TowerHeads()

    first, _, metrics = train_ranker(data, items, heads, seed=3, settings=settings)
    again, _, _ = train_ranker(data, items, heads, seed=3, settings=settings)

    assert all(torch.equal(first.state_dict()[name], value) for name, value in again.state_dict().items())
    _, chosen = split_lists(len(data), settings.validation_share)
    weights, reached = choose_tasks(first, data, items, chosen)
    by_chance = list_ndcg(data, chosen, np.random.default_rng(1).random((len(chosen), 8)).astype(np.float32))
    by_truth = list_ndcg(data, chosen, data.lists.features[chosen][..., POPULARITY])
    assert by_truth > by_chance + 0.05
    assert reached > (by_truth + by_chance) / 2
    assert weights["click"] == 1.0
    assert metrics["ranker_epochs"] >= 1
