"""Channels name candidates, and what orders them is learned on validation users."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from shopfuse.training.sequences import candidates, stacking
from shopfuse.training.sequences.candidates import find_candidates
from shopfuse.training.sequences.counted_rows import count_rows
from shopfuse.training.sequences.item_profiles import FEATURES, item_profiles
from shopfuse.training.sequences.measures import ndcg10
from shopfuse.training.sequences.scoring import NOWHERE, Scores, ranks
from shopfuse.training.sequences.split import Cases, Histories
from shopfuse.training.sequences.stacking import fit_stacked
from tests.training.sequences.histories import histories, walking_shop

SHOP = walking_shop(items=100)
PROFILES = item_profiles(SHOP.split.train_counts, SHOP.attributes)
VALIDATION = SHOP.split.validation


@pytest.fixture(autouse=True)
def small_fusion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "KEPT", 24)
    monkeypatch.setattr(stacking, "FOLDS", 2)


def following(inputs: Histories) -> NDArray[np.float32]:
    """Counts that are right about what comes next."""
    counts = np.zeros((len(inputs), 100), np.float32)
    newest = inputs.events[inputs.ends - 1]
    for step in (1, 2, 3):
        counts[np.arange(len(inputs)), (newest + step) % 100] = 1 / step
    return counts


def misleading(inputs: Histories) -> NDArray[np.float32]:
    """Log probabilities that know nothing."""
    random = np.random.default_rng(int(inputs.events.sum()))
    shares: NDArray[np.float32] = random.dirichlet(np.ones(100), len(inputs)).astype(np.float32)
    return np.log(shares)


def test_candidates_are_what_channels_name_and_never_what_a_user_has() -> None:
    cases = Cases(histories([[5, 6], [99]]), np.array([7, 50], np.int32))

    named = find_candidates({"following": following}, cases, PROFILES)

    assert set(named.items[0][named.items[0] >= 0].tolist()) == {7, 8, 9}
    assert set(named.items[1][named.items[1] >= 0].tolist()) == {0, 1, 2}
    assert named.items[0, named.place[0]] == 7
    assert named.place[1] == -1
    assert named.features.shape == (2, 24, 2 + len(FEATURES))


def test_the_ranker_learns_which_channel_to_believe() -> None:
    channels: dict[str, Scores] = {"following": following, "misleading": misleading}
    stacked = fit_stacked(find_candidates(channels, VALIDATION, PROFILES), seed=1)

    named = find_candidates(channels, SHOP.split.test, PROFILES)
    fused = ndcg10(stacked.ranks(named))

    alone = {name: ndcg10(ranks(scores, SHOP.split.test)) for name, scores in channels.items()}
    assert fused > alone["misleading"] + 0.2
    assert fused > alone["following"] - 0.02
    assert stacked.validation_ndcg == pytest.approx(fused, abs=0.1)


def test_a_target_that_no_channel_named_is_nowhere() -> None:
    channels: dict[str, Scores] = {"following": following}
    stacked = fit_stacked(find_candidates(channels, VALIDATION, PROFILES), seed=1)
    cases = Cases(histories([[5], [5]]), np.array([6, 50], np.int32))

    of_targets = stacked.ranks(find_candidates(channels, cases, PROFILES))

    assert of_targets[0] <= 3
    assert of_targets[1] == NOWHERE


def test_items_with_the_same_rare_attributes_are_alike() -> None:
    left, right = PROFILES.features(histories([[0]]), np.array([[1, 60]], np.int32))[3][0]

    assert left > right


def test_counted_settings_are_those_that_do_best_on_validation() -> None:
    counted = count_rows(SHOP.split)

    rows = {name: ndcg10(ranks(scores, VALIDATION)) for name, scores in counted.rows().items()}
    assert rows["item_knn_transitions"] > rows["item_knn"] > rows["popularity"]
