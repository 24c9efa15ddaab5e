"""Held-out cases: nothing before the moment counts, nothing that was not known is known, and lists are not chosen."""

from dataclasses import replace

import numpy as np
import pytest

from shopfuse.evaluation.report.held_out import (
    MIN_REQUESTS,
    HeldOut,
    held_out,
    impression_lists,
    request_cases,
    visit_cases,
)
from shopfuse.training.checkpoints.shop_models import ShopModels, fitted_models
from shopfuse.training.data.event_log import IMPRESSION
from tests.training.conftest import Shop


@pytest.fixture(scope="module")
def since(shop: Shop) -> float:
    return float(np.quantile(shop.log.events.at, 0.85))


@pytest.fixture(scope="module")
def untrained(shop: Shop) -> ShopModels:
    return fitted_models(shop.text_vectors, shop.log.scenes, "weighted")


def _clicked(shop: Shop, since: float) -> int:
    engaged = shop.log.events.engaged
    return int((shop.log.requests.at[np.unique(engaged.request)] >= since).sum())


def test_events_after_the_training_are_taken_where_there_are_enough(shop: Shop, untrained: ShopModels) -> None:
    until = float(np.quantile(shop.log.events.at, 0.9))
    trained = replace(untrained, made_by={"towers": "trained", "events_until": until})

    late = held_out(shop.log, trained)

    assert late is not None
    assert late.since > until
    assert "neither trained nor chosen on" in late.what


def test_without_later_events_those_that_validated_the_ranker_are_taken(
    shop: Shop, untrained: ShopModels, since: float
) -> None:
    until = float(shop.log.events.at.max())
    made_by = {"towers": "trained", "events_until": until}

    late = held_out(shop.log, replace(untrained, made_by=made_by, metrics={"held_out_since": since}))
    never = held_out(shop.log, replace(untrained, made_by=made_by, metrics={"held_out_since": np.inf}))

    assert late == HeldOut(since, late.what if late else "")
    assert never is not None
    assert _clicked(shop, never.since) >= MIN_REQUESTS


def test_a_log_with_few_clicks_holds_nothing_out(shop: Shop, untrained: ShopModels) -> None:
    few = replace(shop.log, events=shop.log.events.take(np.arange(40)))

    assert held_out(few, untrained) is None


def test_where_no_request_is_logged_the_newest_visits_are_held_out(shop: Shop, untrained: ShopModels) -> None:
    events = replace(shop.log.events, request=np.full(len(shop.log.events), -1, np.int32))

    late = held_out(replace(shop.log, events=events), untrained)

    assert late is not None
    engaged = events.engaged
    begun = {int(session): float(at) for session, at in zip(engaged.session[::-1], engaged.at[::-1], strict=True)}
    assert MIN_REQUESTS <= sum(at >= late.since for at in begun.values()) < len(begun)


@pytest.mark.parametrize("surface", ["search", "recommend"])
def test_requests_become_cases_at_their_own_moment(shop: Shop, since: float, surface: str) -> None:
    cases = request_cases(shop.log, shop.catalogue, since, surface, most=30, seed=0)

    assert 20 < len(cases) <= 30  # what the shopper had bought before is not asked for
    assert all(case.surface == surface for case in cases)
    assert all(case.at is not None and case.at >= since for case in cases)
    assert all(case.grades.any() and not case.grades[~case.allowed].any() for case in cases)
    assert {case.device for case in cases} <= {"desktop", "mobile", "app"}
    others = request_cases(shop.log, shop.catalogue, since, surface, most=30, seed=1)
    assert [case.at for case in others] != [case.at for case in cases]


def test_a_visit_asks_for_what_it_went_on_to(shop: Shop, since: float) -> None:
    cases = visit_cases(shop.log, shop.catalogue, since, most=20, seed=0)
    engaged = shop.log.events.engaged

    for case in cases:
        assert case.surface == "similar"
        assert not case.allowed[case.seed]
        sessions = engaged.session[(engaged.row == case.seed) & (engaged.at == case.at)]
        together = engaged.row[np.isin(engaged.session, sessions)]
        assert set(np.flatnonzero(case.grades)) <= set(together.tolist())


def test_lists_are_taken_clicked_or_not(shop: Shop, since: float) -> None:
    lists = impression_lists(shop.log, since, most=200, seed=0)

    clicked = [one.outcome.any() for one in lists]
    events = shop.log.events
    requests = np.unique(events.request[(events.kind == IMPRESSION) & (events.at >= since)])
    assert 0 < sum(clicked) < len(lists)
    assert np.mean(clicked) == pytest.approx(_clicked(shop, since) / len(requests), abs=0.15)
    assert all((np.diff(one.position) > 0).all() for one in lists)
