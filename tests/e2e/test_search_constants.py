"""The constants of a search, tried on a served release by the simulator's judgments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.judgments import Topic, load_topics, score_rankings
from shopfuse.evaluation.offline.judged_release import WRITTEN_BY, JudgedRelease, open_judged_release
from shopfuse.evaluation.offline.search_constants import BUILD, CONSTANTS, ORDER, varied

TOPICS = 12
NO_FLOOR: dict[str, object] = {"recall.meaning_floor:KINDS": ()}  # the offline rows know no floor


@pytest.fixture(scope="module")
def topics(shop: Workspace) -> list[Topic]:
    return [topic for topic in load_topics(shop.paths.search_truth, "query") if topic.answerable][:TOPICS]


@pytest.fixture(scope="module")
def release(shop: Workspace, topics: list[Topic]) -> Iterator[JudgedRelease]:
    with open_judged_release(shop.root, topics) as opened:
        yield opened


def test_in_use_it_is_the_row_that_evaluate_search_prints(topics: list[Topic], release: JudgedRelease) -> None:
    scores = score_rankings(topics, release.offline.search_rows(topics)["weighted"])
    measured = release.measure(NO_FLOOR)
    assert np.allclose(measured[:, 0], scores.ndcg, atol=1e-9)
    assert np.allclose(measured[:, 1], scores.condensed, atol=1e-9)


def test_each_value_is_measured_as_if_no_other_had_been_tried(release: JudgedRelease) -> None:
    before = release.measure({})
    tried = [{one.name: one.tried[1]} for one in CONSTANTS if one.stage != BUILD]
    measured = [release.measure(values) for values in tried]

    assert np.array_equal(release.measure({}), before)
    assert sum(not np.array_equal(one, before) for one in measured) > len(tried) / 4
    for values, one in list(zip(tried, measured, strict=True))[:: len(tried) // 4]:
        assert np.array_equal(replace(release, _made={}).measure(values), one)


def test_constants_of_a_build_are_measured_on_indexes_written_anew(release: JudgedRelease) -> None:
    written = release.measure({"recall.facts.titles:VALUE_WORDS": 1})

    assert written == pytest.approx(release.measure({}))  # the demo's titles hold no long values
    assert len(list(release.scratch.iterdir())) == 1


@pytest.mark.parametrize("constant", CONSTANTS, ids=lambda one: one.name)
def test_every_constant_is_there_and_has_other_values(constant: object) -> None:
    values = next(one for one in CONSTANTS if one is constant).tried

    assert len(values) > 1
    assert len(set(map(repr, values))) == len(values)


def test_values_hold_inside_only_also_where_something_fails() -> None:
    names = [one for one in CONSTANTS if not one.name.startswith("weight:")]
    before = {one.name: one.in_use for one in names}

    with pytest.raises(KeyError), varied({one.name: one.tried[1] for one in names}):
        assert all(one.in_use != before[one.name] for one in names)
        raise KeyError

    assert {one.name: one.in_use for one in names} == before
    with varied({"weight:category": 3.0}) as weights:
        assert weights == {"category": 3.0}


def test_constants_are_read_where_they_are_named() -> None:
    """A number that a module took from another by name would not follow: each is defined where the table says."""
    for one in CONSTANTS:
        where, _, name = one.name.partition(":")
        if where == "weight" or name == "RRF_K":  # of the merge alone: `vote` has the published one
            assert one.stage in (ORDER, "recall")
            continue
        source = import_module(f"shopfuse.{where}").__file__
        assert source is not None
        with open(source, encoding="utf-8") as file:
            assert any(line.startswith((f"{name} =", f"{name}:")) for line in file), one.name


def test_every_constant_of_a_build_makes_an_index_that_is_written_anew() -> None:
    rooms = tuple(WRITTEN_BY)

    assert all(one.name.startswith(rooms) for one in CONSTANTS if one.stage == BUILD)
