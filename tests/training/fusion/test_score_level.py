"""Score-level fusion as a graph: equal to the numpy reference, indifferent to padding."""

import numpy as np
import pytest
import torch

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.channels import CHANNEL_COLUMN, RECOMMEND, SEARCH, SIMILAR, Surface
from shopfuse.ranking.features import CONTEXT_FEATURES
from shopfuse.ranking.fusion import FUSION_METHODS, fuse
from shopfuse.ranking.tensors import TASKS, pad_rows, submodels
from shopfuse.training.fusion.ranker import FusionRanker
from tests.training.random_tensors import random_inputs

RANKER = submodels(384)["fusion_ranker"]
RELEVANCE = TASKS.index("relevance")
IS_SEARCH = CONTEXT_FEATURES.index("is_search")
PER_CANDIDATE = {tensor.name for tensor in RANKER.inputs if "candidates" in tensor.dims}


def _inputs(candidates: int, seed: int = 0) -> dict[str, torch.Tensor]:
    inputs = random_inputs(RANKER, 1, {"candidates": candidates}, seed)
    inputs["candidate_mask"] = torch.ones(1, candidates)
    return inputs


@pytest.mark.parametrize("method", FUSION_METHODS)
@pytest.mark.parametrize("surface", [SEARCH, RECOMMEND, SIMILAR])
def test_graph_equals_the_numpy_reference(method: str, surface: Surface) -> None:
    inputs = _inputs(50)
    inputs["query_present"], inputs["user_present"] = torch.zeros(1, 1), torch.zeros(1, 1)
    inputs["context"][:, IS_SEARCH] = float(surface == SEARCH)
    if surface == SIMILAR:  # by a vector: no channel may be left for it to complete
        inputs["query_present"] = torch.ones(1, 1)
        inputs["channel_mask"][..., CHANNEL_COLUMN["semantic"]] = 1.0

    tasks, weights = FusionRanker(method)(**inputs)

    scores, mask = inputs["channel_scores"][0].numpy(), inputs["channel_mask"][0].numpy()
    expected, expected_weights = fuse(method, scores, mask, surface)
    assert tasks[0, :, RELEVANCE].numpy() == pytest.approx(expected, abs=1e-6)
    assert weights[0].numpy() == pytest.approx(expected_weights, abs=1e-5)
    assert not tasks[0, :, :RELEVANCE].any()


@pytest.mark.parametrize("method", FUSION_METHODS)
def test_padding_changes_no_score(method: str) -> None:
    inputs = _inputs(20)
    padded = {
        name: torch.from_numpy(pad_rows(value[0].numpy(), 32))[None] if name in PER_CANDIDATE else value
        for name, value in inputs.items()
    }
    padded["channel_scores"][:, 20:] = 1e6  # even a padded candidate that claims to be the best
    padded["channel_mask"][:, 20:] = 1.0

    plain, wide = FusionRanker(method)(**inputs)[0], FusionRanker(method)(**padded)[0]

    assert torch.allclose(plain[0], wide[0, :20], atol=1e-6)


@pytest.mark.parametrize(("channel", "is_search"), [("semantic", True), ("behaviour", False)])
def test_a_cosine_stands_in_for_a_channel_without_scores(channel: str, is_search: bool) -> None:
    inputs = _inputs(20)
    for name in ("query_vector", "user_vector", "item_vectors"):
        inputs[name] = inputs[name].abs()  # cosines below 0 would all count as 0
    vector = inputs["query_vector"] if is_search else inputs["user_vector"]
    cosine = (inputs["item_vectors"].float() @ vector.unsqueeze(-1)).squeeze(-1)
    inputs["context"][:, IS_SEARCH] = float(is_search)
    inputs["query_present"], inputs["user_present"] = torch.full((1, 1), float(is_search)), torch.ones(1, 1)
    inputs["channel_mask"] = torch.zeros_like(inputs["channel_mask"])

    tasks, _ = FusionRanker("weighted")(**inputs)

    inputs["channel_scores"][..., CHANNEL_COLUMN[channel]] = cosine
    assert torch.equal(tasks[0, :, RELEVANCE].argsort(), cosine[0].argsort())


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ShopfuseError, match="expected one of weighted, vote, softmax"):
        FusionRanker("magic")


def test_a_late_channel_for_one_item_is_no_vote_against_it() -> None:
    inputs = _inputs(4)
    inputs["query_present"], inputs["user_present"] = torch.zeros(1, 1), torch.zeros(1, 1)
    inputs["channel_scores"][:] = torch.tensor(np.linspace(0.9, 0.1, 4), dtype=torch.float32)[None, :, None]
    inputs["channel_mask"][:] = 1.0
    inputs["channel_mask"][0, 0, CHANNEL_COLUMN["lexical"]] = 0.0

    tasks, _ = FusionRanker("weighted")(**inputs)

    assert int(tasks[0, :, RELEVANCE].argmax()) == 0
