"""The trained ranker: padding and neighbours change nothing, missing inputs are missing, training repeats."""

import numpy as np
import pytest
import torch

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.channels import CHANNEL_COLUMN
from shopfuse.ranking.tensors import TASKS, pad_rows, submodels
from shopfuse.training.examples.ranker_inputs import RankerInputs
from shopfuse.training.fusion.facts import HistoryAttention
from shopfuse.training.fusion.ranker import LEARNED, METHODS, FusionRanker
from shopfuse.training.trainers.ranker import RankerTraining, split_lists, train_ranker
from shopfuse.training.trainers.ranker_choice import SIMPLE, choose_ranker, choose_tasks, list_ndcg
from shopfuse.training.trainers.tower_losses import TowerHeads
from tests.training.planted_lists import POPULAR, POPULARITY, planted_items, popular_items_are_clicked
from tests.training.random_tensors import random_inputs

SEPARATE = ["attention", "moe"]  # methods that judge each candidate by itself
RANKER = submodels(64)["fusion_ranker"]
PER_CANDIDATE = {tensor.name for tensor in RANKER.inputs if "candidates" in tensor.dims}


def _ranker(method: str = "attention") -> FusionRanker:
    torch.manual_seed(0)
    return FusionRanker(method).eval()


def _inputs(candidates: int, batch: int = 1) -> dict[str, torch.Tensor]:
    inputs = random_inputs(RANKER, batch, {"candidates": candidates})
    inputs["candidate_mask"] = torch.ones(batch, candidates)
    inputs["modality_mask"][..., 0] = 1.0
    return inputs


@torch.no_grad()
def _run(ranker: FusionRanker, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    tasks, weights = ranker(**inputs)
    return tasks, weights


def test_the_inputs_are_the_declared_ones_in_their_order() -> None:
    assert RankerInputs._fields == tuple(tensor.name for tensor in RANKER.inputs)


@pytest.mark.parametrize("method", SEPARATE)
def test_padding_and_other_candidates_change_no_score(method: str) -> None:
    ranker, inputs = _ranker(method), _inputs(20)
    padded = {
        name: torch.from_numpy(pad_rows(value[0].numpy(), 64))[None] if name in PER_CANDIDATE else value
        for name, value in inputs.items()
    }
    alone = {name: value[:, :1] if name in PER_CANDIDATE else value for name, value in inputs.items()}

    plain, wide, single = (_run(ranker, request)[0] for request in (inputs, padded, alone))

    assert torch.allclose(plain[0], wide[0, :20], atol=1e-6)
    assert torch.allclose(plain[0, :1], single[0], atol=1e-6)
    assert not wide[0, 20:].any()


def test_modality_weights_are_shares_of_what_is_there() -> None:
    inputs = _inputs(30, batch=2)

    _, weights = _run(_ranker(), inputs)

    assert torch.allclose(weights.sum(-1), torch.ones(2, 30), atol=1e-5)
    assert not weights[inputs["modality_mask"] == 0].any()


@pytest.mark.parametrize("method", sorted(LEARNED))
def test_tasks_are_nested_probabilities(method: str) -> None:
    tasks, _ = _run(_ranker(method), _inputs(30))

    click, cart, purchase, relevance = (tasks[..., TASKS.index(name)] for name in TASKS)
    assert bool(((click >= cart) & (click >= purchase) & (cart > 0)).all())
    assert not relevance.any()


def test_the_history_speaks_for_the_candidate_that_is_like_it() -> None:
    """A planted preference for what was bought: it shows in the matches of that candidate alone."""
    attention, inputs = HistoryAttention().eval(), RankerInputs(**_inputs(6))
    items = inputs.item_vectors.float()
    bought = torch.zeros_like(inputs.history_vectors)
    bought[0, -1] = inputs.item_vectors[0, 2]
    mask = torch.zeros_like(inputs.history_mask)
    mask[0, -1] = 1.0
    known = inputs._replace(history_vectors=bought, history_mask=mask)

    with torch.no_grad():
        matches = attention(known, items)[0]
        nobody = attention(known._replace(history_mask=torch.zeros_like(mask)), items)[0]

    assert int(matches[:, 0].argmax()) == 2
    assert not nobody.any()


def test_a_masked_event_of_the_history_says_nothing() -> None:
    ranker, inputs = _ranker(), _inputs(10)
    inputs["history_mask"][0, :7], inputs["history_mask"][0, 7:] = 0.0, 1.0
    other = {**inputs, "history_vectors": inputs["history_vectors"].clone()}
    other["history_vectors"][0, :7] = 1.0

    assert torch.allclose(_run(ranker, inputs)[0], _run(ranker, other)[0], atol=1e-7)


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


@pytest.mark.parametrize("method", ["attention", "moe"])
def test_training_finds_what_is_clicked_and_repeats_by_seed(method: str) -> None:
    data, items, heads = popular_items_are_clicked(250), planted_items(), TowerHeads()
    settings = RankerTraining(epochs=4, batch=16, learning_rate=8e-3)

    first, _, metrics = train_ranker(method, data, items, heads, seed=3, settings=settings)
    again, _, _ = train_ranker(method, data, items, heads, seed=3, settings=settings)

    assert all(torch.equal(first.state_dict()[name], value) for name, value in again.state_dict().items())
    _, chosen = split_lists(len(data))
    weights, reached = choose_tasks(first, data, items, chosen)
    by_chance = list_ndcg(data, chosen, np.random.default_rng(1).random((len(chosen), 8)).astype(np.float32))
    by_truth = list_ndcg(data, chosen, data.lists.features[chosen][..., POPULARITY])
    assert by_truth > by_chance + 0.05
    assert reached > (by_truth + by_chance) / 2
    assert weights["click"] == 1.0
    assert metrics[f"{method}_epochs"] >= 1


def test_auto_takes_a_learned_method_where_it_orders_better_and_a_plain_one_elsewhere() -> None:
    items, heads = planted_items(), TowerHeads()
    unpopular = popular_items_are_clicked(200)
    unpopular.lists.channel_scores[..., POPULAR] *= -1.0  # the channel that the plain methods trust is wrong
    best, metrics = choose_ranker(unpopular, items, heads, "auto", seed=0)
    plain, _ = choose_ranker(unpopular, items, heads, "weighted", seed=0)

    reached = metrics["validation_ndcg"]
    assert set(reached) == {*METHODS, *SIMPLE}
    assert best.method in LEARNED and reached[best.method] == max(reached.values())
    assert reached[best.method] > reached["weighted"] + 0.05
    assert plain.method == "weighted"


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ShopfuseError, match="expected one of weighted, vote, softmax, stacking, attention, moe"):
        FusionRanker("magic")
