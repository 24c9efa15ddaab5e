"""The channels that compare vectors: of texts, of images, and of the behaviour space."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from shopfuse.recall.contents import IndexContents
from shopfuse.recall.hits import NO_HITS, Hits
from shopfuse.recall.indexes import Column, IndexFile, RecallChannel, RecallIndexes, Scored
from shopfuse.recall.query import BEHAVIOUR_VECTOR, IMAGE_EMBEDDING, TEXT_EMBEDDING, Need, RecallQuery, Vector, said
from shopfuse.recall.selection import Selection
from shopfuse.recall.vectors import VectorIndex, build_vectors
from shopfuse.release.layout import ReleaseLayout


def _build_images(layout: ReleaseLayout, shop: IndexContents) -> None:
    if shop.image_vectors is not None:
        build_vectors(layout.visual, shop.image_vectors)


def _open_images(layout: ReleaseLayout) -> VectorIndex | None:
    return VectorIndex.open(layout.visual) if layout.visual.exists() else None


TEXT_INDEX = IndexFile(
    "semantic",
    lambda layout, shop: build_vectors(layout.semantic, shop.text_vectors),
    lambda layout: VectorIndex.open(layout.semantic),
)
BEHAVIOUR_INDEX = IndexFile(
    "behaviour",
    lambda layout, shop: build_vectors(layout.behaviour, shop.item_vectors),
    lambda layout: VectorIndex.open(layout.behaviour),
)
IMAGE_INDEX = IndexFile("visual", _build_images, _open_images)  # zeros where an item has no image


def image_embedding(indexes: RecallIndexes, row: int) -> Vector | None:
    """The image embedding of an item [image_dim]; None where it has no image."""
    index = indexes[IMAGE_INDEX]
    if index is None or not index.vectors[row].any():
        return None
    embedding: Vector = index.vectors[row].astype(np.float32)
    return embedding


def query_like(indexes: RecallIndexes, row: int) -> RecallQuery:
    """The query for items like the item `row`: its own vectors, and itself as the whole history."""
    text, behaviour = (indexes[file].vectors[row].astype(np.float32) for file in (TEXT_INDEX, BEHAVIOUR_INDEX))
    history = np.array([row], np.int32), np.ones(1, np.float32)
    image = image_embedding(indexes, row)
    return RecallQuery("", said(text), said(behaviour), *history, image)


def _search_images(indexes: RecallIndexes, query: RecallQuery, k: int, selection: Selection | None) -> Hits:
    index = indexes[IMAGE_INDEX]
    if index is None:
        return NO_HITS
    hits = index.search(cast(Vector, query.image_embedding), k, selection)
    seen = index.vectors[hits.rows].any(1)
    return Hits(hits.rows[seen], hits.scores[seen])


def _score_images(scored: Scored) -> Column | None:
    index = scored.indexes[IMAGE_INDEX]
    if index is None:
        return None
    cosines = index.score(cast(Vector, scored.query.image_embedding), scored.rows)
    return np.where(index.vectors[scored.rows].any(1), cosines, np.float32(np.nan))


def _vector_channel(
    file: IndexFile[VectorIndex], need: Need, vector: Callable[[RecallQuery], Vector | None]
) -> RecallChannel:
    return RecallChannel(
        file,
        needs=(need,),
        score=lambda scored: scored.indexes[file].score(cast(Vector, vector(scored.query)), scored.rows),
        search=lambda indexes, query, k, selection: indexes[file].search(cast(Vector, vector(query)), k, selection),
    )


SEMANTIC = _vector_channel(TEXT_INDEX, TEXT_EMBEDDING, lambda query: query.text_embedding)
BEHAVIOUR = _vector_channel(BEHAVIOUR_INDEX, BEHAVIOUR_VECTOR, lambda query: query.behaviour_vector)
VISUAL = RecallChannel(IMAGE_INDEX, needs=(IMAGE_EMBEDDING,), score=_score_images, search=_search_images)
