"""A release's indexes together: the scores of every channel for every candidate."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from shopfuse.ranking.channels import CHANNEL_COLUMN, CHANNELS, TABLE
from shopfuse.recall.again import build_again
from shopfuse.recall.categories import build_categories
from shopfuse.recall.channels import channel_scores, search
from shopfuse.recall.facts.identifiers import build_identifiers
from shopfuse.recall.facts.quantities import build_quantities
from shopfuse.recall.facts.titles import build_titles
from shopfuse.recall.indexes import RecallIndexes
from shopfuse.recall.item_table import build_item_table
from shopfuse.recall.lexical import build_lexical
from shopfuse.recall.popular import build_popular
from shopfuse.recall.query import RecallQuery
from shopfuse.recall.vector_channels import image_embedding
from shopfuse.recall.vectors import build_vectors
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import ReleaseError
from tests.memories import memory_of
from tests.recall.shop import build_pair_indexes, make_items, unit_vectors

ITEMS = 200
TEXT, BEHAVIOUR = unit_vectors(ITEMS, 24, seed=1), unit_vectors(ITEMS, 16, seed=2)
IMAGES = unit_vectors(ITEMS, 12, seed=3)
IMAGES[5] = 0.0  # has no image
QUERY = RecallQuery(
    query="Acme red shoe",
    text_embedding=TEXT[7],
    behaviour_vector=BEHAVIOUR[9],
    history_rows=np.array([4, -1, 5], np.int32),
    history_weights=np.array([0.5, 0.2, 0.3], np.float32),
    image_embedding=IMAGES[11],
    memory=memory_of(np.array([4, 9, 4], np.int32), np.ones(3, np.bool_), np.arange(3) * 1e6, 3e6),
)
SILENT = [CHANNEL_COLUMN[name] for name in ("identifier", "quantity", "name")]  # the query has no number


def build(layout: ReleaseLayout, count: int) -> None:
    items = make_items(count)
    rng = np.random.default_rng(0)
    build_item_table(layout.items, items)
    build_lexical(layout.lexical, items)
    build_identifiers(layout.identifiers, items)
    build_quantities(layout.quantities, items)
    build_titles(layout.titles, items, "en")
    build_vectors(layout.semantic, TEXT[:count])
    build_categories(layout.categories, np.arange(count, dtype=np.int32) % 5, TEXT[:count])
    build_vectors(layout.visual, IMAGES[:count])
    build_vectors(layout.behaviour, BEHAVIOUR[:count])
    events = 20 * count
    rows = rng.integers(0, max(count, 1), events).astype(np.int32)
    sessions = (rng.integers(0, events // 4 + 1, events), rows, np.ones(events, np.float32), np.zeros(events))
    build_pair_indexes(layout.indexes, sessions, count)
    build_popular(layout.indexes, rng.random(count).astype(np.float32))
    build_again(layout.indexes, *rng.random((3, count)).astype(np.float32))


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> ReleaseLayout:
    layout = ReleaseLayout(tmp_path_factory.mktemp("release"))
    build(layout, ITEMS)
    return layout


def test_every_channel_is_completed_for_every_candidate(layout: ReleaseLayout) -> None:
    indexes = RecallIndexes.open(layout)
    rows = np.random.default_rng(3).permutation(ITEMS).astype(np.int32)
    scores, mask = channel_scores(indexes, rows, QUERY)

    expected_mask = np.ones((ITEMS, len(CHANNELS)))
    expected_mask[rows == 5, CHANNEL_COLUMN["visual"]] = 0.0
    expected_mask[:, SILENT] = 0.0
    assert mask.tolist() == expected_mask.tolist()
    for name in [row.name for row in TABLE if row.finds]:
        hits = search(indexes, name, QUERY, ITEMS)
        expected = np.zeros(ITEMS, np.float32)
        expected[hits.rows] = hits.scores
        np.testing.assert_allclose(scores[:, CHANNEL_COLUMN[name]], expected[rows], atol=1e-5, err_msg=name)
    made_by_acme = [item.brand == "Acme" for item in make_items(ITEMS)]
    assert scores[:, CHANNEL_COLUMN["brand"]].tolist() == np.array(made_by_acme, float)[rows].tolist()


@pytest.mark.parametrize(
    ("query", "applying"),
    [
        (RecallQuery(), {"popular"}),
        (RecallQuery(query="red"), {"popular", "lexical", "coverage"}),
        (RecallQuery(query="red kiku shoe"), {"popular", "lexical", "coverage", "brand"}),
        (RecallQuery(text_embedding=TEXT[0]), {"popular", "semantic"}),
        (RecallQuery(image_embedding=IMAGES[0]), {"popular", "visual"}),
        (RecallQuery(behaviour_vector=BEHAVIOUR[0]), {"popular", "behaviour"}),
        (RecallQuery(history_rows=np.array([-1], np.int32), history_weights=np.ones(1, np.float32)), {"popular"}),
        (
            RecallQuery(history_rows=np.array([3], np.int32), history_weights=np.ones(1, np.float32)),
            {"popular", "co_visit", "neighbours", "transitions"},
        ),
    ],
)
def test_channels_without_their_input_are_masked(layout: ReleaseLayout, query: RecallQuery, applying: set[str]) -> None:
    scores, mask = channel_scores(RecallIndexes.open(layout), np.array([0, 1], np.int32), query)

    assert {name for name in CHANNELS if mask[:, CHANNEL_COLUMN[name]].all()} == applying
    assert not scores[mask == 0].any()


def test_unknown_candidates_are_masked(layout: ReleaseLayout) -> None:
    scores, mask = channel_scores(RecallIndexes.open(layout), np.array([-1, 7], np.int32), QUERY)

    assert not scores[0].any()
    assert not mask[0].any()
    assert np.delete(mask[1], SILENT).all()


def test_only_items_with_an_image_are_found_by_images(layout: ReleaseLayout) -> None:
    indexes = RecallIndexes.open(layout)
    hits = search(indexes, "visual", QUERY, ITEMS)

    assert sorted(hits.rows.tolist()) == [row for row in range(ITEMS) if row != 5]
    assert hits.rows[0] == 11 and hits.scores[0] == pytest.approx(1.0, abs=1e-3)
    assert image_embedding(indexes, 5) is None and image_embedding(indexes, 11) is not None


def test_a_shop_without_images_has_no_visual_channel(layout: ReleaseLayout, tmp_path: Path) -> None:
    shutil.copytree(layout.root, tmp_path / "plain")
    plain = ReleaseLayout(tmp_path / "plain")
    plain.visual.unlink()
    indexes = RecallIndexes.open(plain)
    scores, mask = channel_scores(indexes, np.array([0, 1], np.int32), QUERY)

    assert len(search(indexes, "visual", QUERY, 5)) == 0 and image_embedding(indexes, 11) is None
    assert not scores[:, CHANNEL_COLUMN["visual"]].any() and not mask[:, CHANNEL_COLUMN["visual"]].any()


def test_no_candidates_have_no_scores(layout: ReleaseLayout) -> None:
    scores, mask = channel_scores(RecallIndexes.open(layout), np.zeros(0, np.int32), QUERY)

    assert scores.shape == mask.shape == (0, len(CHANNELS))


@pytest.mark.parametrize("count", [0, 1])
def test_tiny_catalogues_open_and_search(tmp_path: Path, count: int) -> None:
    layout = ReleaseLayout(tmp_path)
    build(layout, count)
    indexes = RecallIndexes.open(layout)

    assert len(indexes.items) == count
    assert len(search(indexes, "popular", RecallQuery(), 5)) == count
    assert len(search(indexes, "semantic", RecallQuery(text_embedding=TEXT[0]), 5)) == count
    assert channel_scores(indexes, np.arange(count, dtype=np.int32), RecallQuery(query="red"))[0].shape[0] == count


def test_an_index_of_another_catalogue_is_refused(layout: ReleaseLayout, tmp_path: Path) -> None:
    shutil.copytree(layout.root, tmp_path / "mixed")
    mixed = ReleaseLayout(tmp_path / "mixed")
    build_vectors(mixed.behaviour, BEHAVIOUR[:-1])

    with pytest.raises(ReleaseError, match="behaviour index of 199 items, expected 200"):
        RecallIndexes.open(mixed)
