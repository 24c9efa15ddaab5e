"""Text, image and behaviour each tell something about the truth that the others do not, and the log gives it away."""

from __future__ import annotations

import polars as pl
import pytest

from shopfuse.datasets.demo_shop.world.world import simulate_shop
from tests.datasets.demo_shop.signals import signal_report

TASKS = ("search", "recommend")


@pytest.fixture(scope="module")
def report() -> pl.DataFrame:
    return signal_report(simulate_shop(items=600, users=900, days=14, seed=2))


def quality(report: pl.DataFrame, row: str, column: str) -> float:
    return float(report.row(by_predicate=pl.col("row") == row, named=True)[column])


@pytest.mark.parametrize("task", TASKS)
def test_the_true_utility_ranks_almost_perfectly(report: pl.DataFrame, task: str) -> None:
    assert quality(report, "oracle: all", task) > 0.95


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("modality", ["text", "image", "behaviour", "tastes"])
def test_an_oracle_without_one_modality_loses_clearly(report: pl.DataFrame, task: str, modality: str) -> None:
    best_without = quality(report, f"oracle: without {modality}", f"{task}_high")

    assert best_without < quality(report, "oracle: all", f"{task}_low") - 0.05


@pytest.mark.parametrize("task", TASKS)
def test_popularity_alone_explains_little(report: pl.DataFrame, task: str) -> None:
    assert quality(report, "popularity", task) < 0.2
    assert quality(report, "popularity", task) < 0.5 * quality(report, "learned: all", task)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("modality", ["text", "image", "behaviour"])
def test_a_model_of_all_modalities_beats_each_alone_and_each_left_out(
    report: pl.DataFrame, task: str, modality: str
) -> None:
    everything = quality(report, "learned: all", task)

    assert everything > quality(report, f"learned: without {modality}", task)
    assert everything > 1.1 * quality(report, f"learned: {modality} alone", task)
