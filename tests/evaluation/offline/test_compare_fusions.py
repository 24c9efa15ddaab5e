"""Comparing fusion methods: what is held out, AUC and ECE by hand, and leads that are paired."""

import numpy as np
import pytest

from shopfuse.evaluation.offline.compare_fusions import JudgedImpressions, MethodResult, judge
from shopfuse.evaluation.offline.fusion_summary import auc_draws, ece_draws, summaries
from shopfuse.metrics.auc import auc
from shopfuse.metrics.calibration import expected_calibration_error
from shopfuse.training.trainers.ranker_choice import Fused, list_probabilities, without_training
from shopfuse.training.trainers.stacking import train_stacking
from tests.training.planted_lists import planted_items, popular_items_are_clicked


def _judged(quality: float, seed: int = 0, probabilities: bool = True) -> JudgedImpressions:
    """Impressions of 60 lists whose clicks follow scores, more or less."""
    rng = np.random.default_rng(seed)
    list_of = np.repeat(np.arange(60), 6)
    chance = rng.uniform(0.02, 0.6, (len(list_of), 3))
    outcome = rng.random(chance.shape) < chance
    scores = quality * chance + (1 - quality) * rng.random(chance.shape)
    weight = 1.0 + (list_of % 2)
    return JudgedImpressions(list_of, weight, outcome, scores, scores if probabilities else None)


def test_auc_and_ece_are_those_of_the_plain_definitions_with_lists_repeated_by_their_weight() -> None:
    judged = _judged(0.7)
    repeated = np.repeat(np.arange(len(judged.list_of)), judged.weight.astype(int))

    assert auc_draws(judged, 0)[0] == pytest.approx(auc(judged.scores[repeated, 0], judged.outcome[repeated, 0]))
    level = JudgedImpressions(judged.list_of, np.ones_like(judged.weight), judged.outcome, judged.scores, judged.scores)
    expected = expected_calibration_error(judged.scores[:, 1], judged.outcome[:, 1])
    assert ece_draws(level, 1)[0] == pytest.approx(expected, abs=1e-9)


def test_a_relevance_has_no_calibration_error() -> None:
    assert np.isnan(ece_draws(_judged(0.7, probabilities=False), 0)).all()


def _result(quality: float, lists: float, validation: float, seed: int) -> MethodResult:
    values = np.clip(lists + np.random.default_rng(seed).normal(0, 0.2, 80), 0, 1)
    return MethodResult({"search": values}, values, _judged(quality, seed), {"click": 1.0}, validation, {})


def test_leads_are_over_the_same_cases_of_the_method_that_validation_chooses() -> None:
    tables = [{"weighted": _result(0.2, 0.3, 0.4, seed), "moe": _result(0.8, 0.32, 0.5, seed)} for seed in (1, 2)]

    reference, methods = summaries(tables)

    lead = methods["weighted"].leads
    assert reference == "moe"
    assert lead["search"].low > 0 and lead["search"].high - lead["search"].low < 0.01  # the cases' own spread is gone
    assert lead["auc_click"].low > 0
    assert methods["moe"].leads["search"].mean == 0
    assert methods["moe"].document()["figures"]["auc_click"]["seeds"][0] > 0.5


def test_probabilities_are_judged_at_their_slots_and_scores_whatever_the_slot() -> None:
    data, items = popular_items_are_clicked(300), planted_items()
    chosen = np.arange(240, 300)
    ranker, positions, _ = train_stacking(data.take(np.arange(240)), items, seed=0)
    learned = Fused("stacking", ranker, {"click": 1.0}, 0.5, positions)
    plain = without_training("weighted")

    judged_fused = judge(learned, list_probabilities(ranker, data, items, chosen), data, items, chosen)
    relevance = judge(plain, list_probabilities(plain.ranker, data, items, chosen), data, items, chosen)

    first = data.lists.position[chosen][data.lists.position[chosen] >= 0] == 0
    assert judged_fused.probabilities is not None and relevance.probabilities is None
    assert np.allclose(judged_fused.probabilities[first], judged_fused.scores[first], atol=1e-6)
    assert not np.allclose(judged_fused.probabilities[~first], judged_fused.scores[~first], atol=1e-3)
    assert np.array_equal(judged_fused.outcome, relevance.outcome)
    assert float(judged_fused.probabilities[:, 0].mean()) == pytest.approx(
        float(judged_fused.outcome[:, 0].mean()), abs=0.08
    )
