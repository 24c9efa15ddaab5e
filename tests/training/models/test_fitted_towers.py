"""The fitted towers: cosines survive the projection, a user is the mean of a recent history."""

import numpy as np
import torch
from numpy.typing import NDArray

from shopfuse.ranking.tensors import submodels
from shopfuse.training.models.fitted_towers import FittedItemTower, FittedQueryTower, FittedUserTower, fit_projection
from tests.training.random_tensors import random_inputs

DIM = 160


def _catalogue(rank: int = 40) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((300, rank)) @ rng.standard_normal((rank, DIM)) + 0.5
    unit: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def test_queries_and_items_keep_the_order_of_their_text_cosines() -> None:
    texts = _catalogue()
    projection = fit_projection(texts)
    inputs = random_inputs(submodels(DIM)["item_tower"], len(texts))
    inputs["text_embedding"], inputs["presence"] = torch.from_numpy(texts), torch.ones(len(texts), 3)

    items, _ = FittedItemTower(projection)(**inputs)
    queries = FittedQueryTower(projection)(torch.from_numpy(texts[:20]))

    np.testing.assert_allclose((queries @ items.T).numpy(), texts[:20] @ texts.T, atol=1e-4)


def test_a_small_encoder_still_gives_full_width_vectors() -> None:
    projection = fit_projection(np.eye(8, dtype=np.float32))

    assert projection.shape == (8, 128)
    assert not projection[:, 8:].any()


def test_an_item_without_text_has_no_vector() -> None:
    inputs = random_inputs(submodels(DIM)["item_tower"], 2)
    inputs["presence"] = torch.zeros(2, 3)

    vector, modalities = FittedItemTower(fit_projection(_catalogue()))(**inputs)

    assert not vector.any()
    assert not modalities.any()


def _history(gap_hours: list[float], events: list[int]) -> dict[str, torch.Tensor]:
    inputs = random_inputs(submodels(DIM)["user_tower"], 1)
    count = len(gap_hours)
    inputs["history_vectors"] = torch.zeros(1, 50, 128, dtype=torch.float16)
    for slot in range(count):
        inputs["history_vectors"][0, 50 - count + slot, slot] = 1.0
    inputs["history_mask"] = torch.tensor([[0.0] * (50 - count) + [1.0] * count])
    inputs["history_gaps"] = torch.tensor([[0.0] * (50 - count) + list(np.log1p(gap_hours))], dtype=torch.float32)
    inputs["history_events"] = torch.tensor([[0] * (50 - count) + events])
    return inputs


def test_a_user_leans_to_recent_and_strong_events() -> None:
    vector = FittedUserTower()(**_history([24 * 7.0, 0.0, 0.0], [1, 1, 4]))[0]

    assert torch.allclose(vector[:3] / vector[1], torch.tensor([0.5, 1.0, 3.0]), atol=1e-3)


def test_a_user_who_returns_after_years_still_has_a_vector() -> None:
    vector = FittedUserTower()(**_history([24 * 3650.0, 24 * 3650.0], [1, 2]))[0]

    assert abs(float(vector.norm()) - 1.0) < 1e-5


def test_a_user_without_history_has_the_zero_vector() -> None:
    assert not FittedUserTower()(**_history([], [])).any()
