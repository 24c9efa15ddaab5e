"""The report over a small shop: each section tells what it should, and sees what is planted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shopfuse.evaluation.report.ablation import ablation_section
from shopfuse.evaluation.report.bench import FUSED, Bench, Sizes, open_bench, score_rows, shuffled
from shopfuse.evaluation.report.calibration import FIRST_SLOT, calibration_section
from shopfuse.evaluation.report.cold_items import without_events
from shopfuse.evaluation.report.cold_start import SLICES, slice_of
from shopfuse.evaluation.report.cold_users import cut_histories
from shopfuse.evaluation.report.compose import compose
from shopfuse.evaluation.report.context import ReportContext
from shopfuse.evaluation.report.importance import importance
from shopfuse.evaluation.report.judged_lists import JudgedLists, judged_lists
from shopfuse.evaluation.report.section import Estimate, Report
from shopfuse.ranking.features import FEATURES
from shopfuse.ranking.tensors import MODALITIES, TASKS
from shopfuse.training.checkpoints.shop_models import ShopModels, fitted_models
from tests.training.conftest import Shop, encode_words

COMMAND = "shopfuse evaluate report -w shop --seed 3"


def _silent(stage: str, done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def bench(shop: Shop, models: ShopModels, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder: Path = tmp_path_factory.mktemp("bench")
    return open_bench(shop.workspace, models, shop.text_vectors, encode_words, folder, seed=3, sizes=Sizes(8, 80))


@pytest.fixture(scope="module")
def report(bench: Bench) -> Report:
    return compose(bench, "A report", (("release", "r1"),), COMMAND, "d" * 64)


@pytest.fixture(scope="module")
def judged(bench: Bench) -> JudgedLists:
    lists = judged_lists(bench, _silent)
    assert lists is not None
    return lists


def _context(bench: Bench) -> ReportContext:
    return ReportContext(bench, (), COMMAND, "d" * 64)


def test_every_section_says_where_its_figures_come_from(report: Report) -> None:
    keys = [section.key for section in report.sections]

    assert keys == [
        "quality", "calibration", "beyond-accuracy", "cold-start", "modalities", "segments", "importance",
    ]  # fmt: skip
    for section in report.sections:
        assert f"seed 3 · data sha256 {'d' * 16}" in section.provenance
        assert COMMAND in section.provenance
        assert section.plots, section.key
        assert section.tables, section.key


def test_every_surface_is_measured_on_truth_and_on_held_out_events(report: Report) -> None:
    tables = {table.title: table for table in report.sections[0].tables}

    assert set(tables) == {"Search", "Recommendations", "Similar items"}
    for table in tables.values():
        assert {row[0] for row in table.rows} == {"true relevance", "held-out events"}
        assert {"fused", "popularity", "weighted"} <= {row[1] for row in table.rows}


def test_the_same_seed_gives_the_same_figures(bench: Bench) -> None:
    sets = tuple(cases for cases in bench.sets if cases.surface == "similar" and cases.source == "held-out")
    once, again = (score_rows(replace(bench, sets=sets), _silent)[0] for _ in range(2))

    for name, rankings in once.rankings.items():
        assert all(np.array_equal(*pair) for pair in zip(rankings, again.rankings[name], strict=True)), name


@pytest.fixture(scope="module")
def wordy(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> ReportContext:
    """A shop whose models know texts alone: image and behaviour embeddings are planted as useless."""
    models = fitted_models(shop.text_vectors, shop.log.scenes, "weighted")
    folder: Path = tmp_path_factory.mktemp("wordy")
    bench = open_bench(shop.workspace, models, shop.text_vectors, encode_words, folder, seed=3, sizes=Sizes(40, 60))
    bench = replace(bench, sets=tuple(cases for cases in bench.sets if cases.name == "search, truth"))
    return ReportContext(bench, score_rows(bench, _silent), COMMAND, "d" * 64)


def test_taking_a_useless_modality_away_changes_nothing(wordy: ReportContext) -> None:
    scored = wordy.scored[0]

    for name in ("without image", "shuffled image", "shuffled behaviour"):
        assert np.array_equal(scored.measures[name].ndcg, scored.measures[FUSED].ndcg), name


def test_shuffling_embeddings_that_are_used_costs_quality(wordy: ReportContext) -> None:
    scored = wordy.scored[0]
    fused = scored.measures[FUSED].ndcg

    assert (fused - scored.measures["shuffled text"].ndcg).mean() > 0.02
    assert (fused - scored.measures["without text"].ndcg).mean() > 0.02
    missing = ablation_section(wordy).missing
    assert [line.split(":")[0] for line in missing] == ["what image is worth", "what behaviour is worth"]


def test_a_score_fusion_promises_no_probabilities(wordy: ReportContext, bench: Bench) -> None:
    section = calibration_section(wordy, judged_lists(wordy.bench, _silent))

    assert section.plots == ()
    assert "gives relevance and no probability" in section.missing[0]


def test_shuffling_moves_vectors_among_the_items_that_have_one(bench: Bench) -> None:
    for name in MODALITIES:
        world, inputs = shuffled(bench.end, bench.inputs, name, seed=3)
        before, after = getattr(bench.inputs, name), getattr(inputs, name)

        assert torch.equal(inputs.presence, bench.inputs.presence)
        assert not torch.equal(before, after)
        assert torch.allclose(before.sum(0), after.sum(0), atol=1e-3)
        assert np.array_equal(world.text_vectors, bench.end.text_vectors) == (name != "text")


def test_planted_miscalibration_is_seen(bench: Bench, judged: JudgedLists) -> None:
    outcome = judged.data.lists.outcome
    chance = np.broadcast_to(np.random.default_rng(0).uniform(0.1, 0.4, outcome.shape[:1])[:, None], outcome.shape)
    happened = (np.random.default_rng(1).random(outcome.shape) < chance).astype(np.int8)
    data = replace(judged.data, lists=replace(judged.data.lists, outcome=happened))

    def first_row(factor: float) -> tuple[float, float]:
        probabilities = np.repeat((factor * chance)[..., None], len(TASKS), axis=-1).astype(np.float32)
        section = calibration_section(_context(bench), JudgedLists(data, judged.items, probabilities))
        row = next(row for row in section.tables[0].rows if row[:2] == ("click", "all slots"))
        assert isinstance(row[4], Estimate)
        assert isinstance(row[5], float)
        return row[4].mean, row[5]

    assert first_row(1.0)[0] == pytest.approx(1.0, abs=0.2)
    assert first_row(2.0)[0] == pytest.approx(2.0, abs=0.4)
    assert first_row(2.0)[1] > first_row(1.0)[1] + 0.1


def test_the_first_slot_is_judged_apart(bench: Bench, judged: JudgedLists) -> None:
    table = calibration_section(_context(bench), judged).tables[0]
    counts = {row[1]: row[2] for row in table.rows if row[0] == "click"}

    assert counts[FIRST_SLOT] == int((judged.data.lists.position == 0).sum())
    assert counts["all slots"] == int((judged.data.lists.position >= 0).sum())


class _OneFeature(nn.Module):
    """A ranker that looks at one feature only."""

    def __init__(self, feature: str) -> None:
        super().__init__()
        self._place = FEATURES.index(feature)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        features, mask = inputs[-2], inputs[-1]
        click = torch.sigmoid(features[..., self._place]) * mask
        return torch.stack([click] * len(TASKS), -1), torch.zeros(*click.shape, len(MODALITIES))


def test_only_the_input_that_is_used_is_important(bench: Bench, judged: JudgedLists) -> None:
    outcome = judged.data.lists.outcome
    features = judged.data.lists.features.copy()
    features[..., FEATURES.index("click_rate")] = outcome > 0  # planted: it tells all
    planted = replace(judged, data=replace(judged.data, lists=replace(judged.data.lists, features=features)))
    models = replace(bench.models, fusion_ranker=_OneFeature("click_rate"), tasks={"click": 1.0})

    falls = importance(_context(replace(bench, models=models)), planted, _silent)

    by_name = {part.name: fall for part, fall in falls.items()}
    assert by_name.pop("click_rate").low > 0.1
    assert all(fall.mean == 0.0 for fall in by_name.values())


def test_histories_are_cut_to_the_newest_events(bench: Bench) -> None:
    part = next(cases for cases in bench.sets if cases.name == "recommend, truth")
    whole = bench.end.histories

    for depth in (0, 1, 3):
        histories, cases = cut_histories(whole, part.cases, bench.end.at, depth)
        for case, cut in zip(part.cases, cases, strict=True):
            kept = histories.events.at[histories.entries(cut.user, bench.end.at)]
            known = whole.events.at[whole.entries(case.user, bench.end.at)]
            assert np.array_equal(kept, known[len(known) - min(depth, len(known)) :])


def test_nothing_remains_of_an_item_that_is_made_new(bench: Bench) -> None:
    cold = np.arange(len(bench.catalogue)) % 7 == 0

    world, inputs = without_events(bench.end, bench.inputs, cold)

    assert not cold[world.log.events.row].any()
    assert not cold[world.histories.events.row].any()
    assert not inputs.presence[torch.from_numpy(cold), MODALITIES.index("behaviour")].any()
    assert bench.inputs.presence[torch.from_numpy(cold), MODALITIES.index("behaviour")].any()


def test_head_torso_and_tail_share_the_events_and_the_rest_has_none() -> None:
    met = np.array([60, 20, 20, 10, 10, 0, 60])

    names = [SLICES[place] for place in slice_of(met).tolist()]

    assert names == ["head", "tail", "tail", "tail", "tail", "never met", "torso"]


def _numbers(report: Report) -> Iterator[Estimate]:
    for section in report.sections:
        for table in section.tables:
            for row in table.rows:
                yield from (cell for cell in row if isinstance(cell, Estimate))


def test_every_estimate_lies_within_its_interval(report: Report) -> None:
    for estimate in _numbers(report):
        assert estimate.low - 1e-9 <= estimate.mean <= estimate.high + 1e-9
        assert estimate.is_thin == (estimate.count < 30)
