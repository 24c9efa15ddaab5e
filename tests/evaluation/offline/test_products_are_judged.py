"""Where products come in variants, cases grade products: whichever variant is ranked first stands for the others."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from shopfuse.datasets.demo_shop.shop import build_demo_shop
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.offline.judged_cases import JudgedCase, load_cases, load_similar_cases, quality
from shopfuse.evaluation.report.rankings import best_rows
from shopfuse.recall.groups import Groups
from shopfuse.training.data.catalogue import Catalogue, load_catalogue
from shopfuse.training.data.event_log import EventLog, load_event_log


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace.create(tmp_path_factory.mktemp("judged") / "shop")
    build_demo_shop(workspace, items=400, users=200, days=4, seed=3, images=False, groups=0.6)
    return workspace


@pytest.fixture(scope="module")
def catalogue(shop: Workspace) -> Catalogue:
    return load_catalogue(shop.items().collect())


@pytest.fixture(scope="module")
def log(shop: Workspace, catalogue: Catalogue) -> EventLog:
    return load_event_log(shop.events(), catalogue)


@pytest.fixture(scope="module")
def cases(shop: Workspace, catalogue: Catalogue, log: EventLog) -> list[JudgedCase]:
    searches, shoppers = (
        load_cases(path, catalogue, log) for path in (shop.paths.search_truth, shop.paths.recommend_truth)
    )
    return searches + shoppers + load_similar_cases(shop.paths.similar_truth, catalogue)


def test_a_product_has_one_grade_at_the_row_that_stands_for_it(cases: list[JudgedCase], catalogue: Catalogue) -> None:
    for case in cases:
        assert (catalogue.group[case.grades > 0] == np.flatnonzero(case.grades > 0)).all()
        assert case.grades.max() == 3


def test_any_variant_stands_for_its_product_and_the_ideal_is_reached(cases: list[JudgedCase]) -> None:
    rng = np.random.default_rng(0)

    def ideal(case: JudgedCase) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        own: np.ndarray[tuple[int], np.dtype[np.float32]] = case.grades[case.groups.code]
        return own + 0.5 * rng.random(len(own), np.float32)

    assert quality(cases, ideal).values == pytest.approx(np.ones(len(cases)))


def test_a_ranking_holds_a_product_once(cases: list[JudgedCase], catalogue: Catalogue) -> None:
    scores = np.random.default_rng(1).random(len(catalogue), np.float32)
    ranking = best_rows(cases[0], scores)

    assert len(np.unique(ranking)) == len(ranking) == Groups.of(catalogue.group).count(np.flatnonzero(cases[0].allowed))
    best = np.where(cases[0].allowed, scores, -1.0).argmax()
    assert ranking[0] == catalogue.group[best]


def test_what_was_bought_in_one_variant_is_allowed_in_none(
    shop: Workspace, catalogue: Catalogue, log: EventLog
) -> None:
    bought = shop.events().filter(pl.col("event_name") == "purchase").collect()
    checked = 0
    for case in load_cases(shop.paths.recommend_truth, catalogue, log):
        user = log.users[case.user] if case.user >= 0 else ""
        rows = catalogue.rows(bought.filter(pl.col("user_id") == user)["item_id"])
        assert not case.allowed[np.isin(catalogue.group, catalogue.group[rows])].any()
        checked += len(rows)

    assert checked > 20
