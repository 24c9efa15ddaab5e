"""The shop as a release would hold it at one moment: item rows, item vectors and the recall indexes over them.

Replay and evaluation look at the shop through it, so that both see what the gateway would. It is written to a folder
because the indexes are files; it is not a release and nothing serves it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.user_state import EVENT_WEIGHT
from shopfuse.recall.contents import IndexContents, Vectors
from shopfuse.recall.indexes import RecallIndexes, build_indexes
from shopfuse.recall.vector_channels import BEHAVIOUR_INDEX, IMAGE_INDEX, TEXT_INDEX
from shopfuse.recall.vectors import build_vectors
from shopfuse.recall.visits import Sessions
from shopfuse.recall.words.chosen_categories import NO_CHOICES, Choices
from shopfuse.recall.words.query_reading import NO_WORDS, ReadQuery
from shopfuse.release.layout import ReleaseLayout
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.data.event_log import EventLog, Events, Requests
from shopfuse.training.data.first_day import popular_scores
from shopfuse.training.data.indexed_items import indexed_items
from shopfuse.training.data.item_statistics import item_rows_at

MAX_QUERIES = 200_000  # the most frequent ones, as they were typed


@dataclass(frozen=True, slots=True)
class ItemVectors:
    """What the item tower says of the catalogue, in the types of a release."""

    vectors: NDArray[np.float16]  # [N, 128]
    tokens: NDArray[np.float16]  # [N, 3, 64]
    mask: NDArray[np.float32]  # [N, 3]


@dataclass(frozen=True, slots=True)
class Snapshot:
    at: float
    item_rows: NDArray[np.void]  # ITEM_ROW [N]
    items: ItemVectors
    indexes: RecallIndexes


def take_snapshot(
    folder: Path,
    catalogue: Catalogue,
    text_vectors: NDArray[np.float32],
    items: ItemVectors,
    log: EventLog,
    at: float,
    image_vectors: NDArray[np.float32] | None = None,
) -> Snapshot:
    """The shop at `at`, from the events strictly before it; replaces what `folder` holds.

    `image_vectors` [N, D_IMAGE] hold zeros where an item has no image.
    """
    shutil.rmtree(folder, ignore_errors=True)
    layout = ReleaseLayout(folder)
    known = log.events.before(at)
    rows = item_rows_at(catalogue, log.events, at)
    contents = index_contents(catalogue, log.requests, known, rows, text_vectors, items.vectors, image_vectors)
    for _ in build_indexes(layout, contents):
        pass
    return Snapshot(at, rows, items, RecallIndexes.open(layout))


def with_vectors(
    snapshot: Snapshot,
    folder: Path,
    text_vectors: NDArray[np.float32],
    items: ItemVectors,
    image_vectors: NDArray[np.float32] | None = None,
) -> Snapshot:
    """The same shop at the same moment by other vectors: words, visits and counts stay, only these indexes are new."""
    shutil.rmtree(folder, ignore_errors=True)
    layout = ReleaseLayout(folder)
    build_vectors(layout.semantic, text_vectors)
    build_vectors(layout.behaviour, items.vectors)
    if image_vectors is not None:
        build_vectors(layout.visual, image_vectors)
    indexes = snapshot.indexes.with_index(TEXT_INDEX, TEXT_INDEX.open(layout))
    indexes = indexes.with_index(BEHAVIOUR_INDEX, BEHAVIOUR_INDEX.open(layout))
    indexes = indexes.with_index(IMAGE_INDEX, IMAGE_INDEX.open(layout))
    return replace(snapshot, items=items, indexes=indexes)


def index_contents(
    catalogue: Catalogue,
    requests: Requests,
    known: Events,
    rows: NDArray[np.void],
    text_vectors: Vectors,
    item_vectors: Vectors,
    image_vectors: Vectors | None,
) -> IndexContents:
    """What the indexes hold of a catalogue and the events `known` at a moment; `rows` are its ITEM_ROWs then.

    What was seen or bought together are products: variants count for their group.
    """
    products = known.of_groups(catalogue.group)
    return IndexContents(
        items=indexed_items(catalogue),
        languages=catalogue.languages,
        categories=catalogue.category,
        text_vectors=text_vectors,
        image_vectors=image_vectors,
        item_vectors=item_vectors,
        choices=lambda read: query_choices(requests, known, read),
        sessions=_visit_sessions(products),
        users=user_events(products),
        popular=popular_scores(rows["popularity"], known, catalogue),
        repeat_rates=rows["repeat_rate"],
        category_repeat_rates=rows["category_repeat_rate"],
        repeat_intervals_s=rows["repeat_interval"],
    )


def query_choices(requests: Requests, events: Events, read: Callable[[str], ReadQuery]) -> Choices:
    """The items that were engaged with after a search, each once a request, by the words of the query as read."""
    engaged = events.engaged
    engaged = engaged.take(engaged.request >= 0)
    if len(engaged) == 0:
        return NO_CHOICES
    codes, rows = np.unique(np.stack([engaged.request, engaged.row], axis=1), axis=0).T
    queries, place = np.unique(np.array([requests.query[code] for code in codes], dtype=object), return_inverse=True)
    frequent = np.argsort(-np.bincount(place), kind="stable")[:MAX_QUERIES]
    keys = np.full(len(queries), NO_WORDS, np.uint64)
    keys[frequent] = np.array([read(query).key for query in queries[frequent]], np.uint64)
    return keys[place], rows.astype(np.int32)


def _visit_sessions(events: Events) -> Sessions:
    """What the co-visit index counts: engaged events by session."""
    engaged = events.engaged
    engaged = engaged.take(engaged.session >= 0)
    return engaged.session.astype(np.int64), engaged.row, EVENT_WEIGHT[engaged.kind].astype(np.float32), engaged.at


def user_events(events: Events) -> Sessions:
    """What neighbours and transitions are counted from: engaged events by user."""
    engaged = events.engaged
    engaged = engaged.take(engaged.user >= 0)
    return engaged.user.astype(np.int64), engaged.row, np.ones(len(engaged), np.float32), engaged.at
