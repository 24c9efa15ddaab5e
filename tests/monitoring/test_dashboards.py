"""The files are what the tables say, and Grafana can draw them: numbers, places, sources and units are right."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pytest
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring import render
from monitoring.boards import BOARDS
from monitoring.dashboard_json import SOURCE, dashboard_json
from monitoring.panels import Board

Grid = dict[str, int]


def overlap(one: Grid, other: Grid) -> bool:
    return all(one[at] < other[at] + other[size] and other[at] < one[at] + one[size] for at, size in ("xw", "yh"))


@pytest.fixture(params=BOARDS, ids=lambda board: board.uid)
def drawn(request: pytest.FixtureRequest) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(dashboard_json(request.param))
    return read


def test_files_are_up_to_date() -> None:
    assert not render.stale(), "run `make monitoring`"


def test_a_file_that_was_changed_by_hand_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    before = render.rendered()
    path = next(iter(before))
    monkeypatch.setattr(render, "rendered", lambda: before | {path: before[path] + "\n"})

    assert render.stale() == [path]


def test_panels_have_numbers_and_places_of_their_own(drawn: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in drawn["panels"]]

    assert len({panel["id"] for panel in drawn["panels"]}) == len(drawn["panels"])
    assert not [pair for pair in combinations(places, 2) if overlap(*pair)]
    assert max(place["x"] + place["w"] for place in places) <= 24


def test_every_panel_asks_the_chosen_source_and_names_its_unit(drawn: dict[str, Any]) -> None:
    for panel in drawn["panels"]:
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert panel["targets"]
            assert all(target["datasource"]["uid"] == SOURCE.uid for target in panel["targets"])
    assert [variable["name"] for variable in drawn["templating"]["list"]] == ["datasource"]


def test_no_query_of_a_table_is_lost(drawn: dict[str, Any]) -> None:
    board: Board = next(board for board in BOARDS if board.uid == drawn["uid"])

    assert [target["expr"] for panel in drawn["panels"] for target in panel.get("targets", ())] == [
        query.expr for panel in board.panels for query in panel.queries
    ]


def test_the_sdk_reads_what_it_wrote(drawn: dict[str, Any]) -> None:
    read = Dashboard.from_json(drawn)

    assert read.uid == drawn["uid"]
    assert read.panels is not None
    assert len(read.panels) == len(drawn["panels"])


def test_names_of_dashboards_and_of_their_panels_are_unique() -> None:
    assert len({board.uid for board in BOARDS}) == len({board.title for board in BOARDS}) == len(BOARDS)
    for board in BOARDS:
        assert all(len({panel.title for panel in row.panels}) == len(row.panels) for row in board.rows)
