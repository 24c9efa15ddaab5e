"""The rows beside the served one: single channels and the score-level fusions, computed here from the same release.

Every row ranks with the release's own indexes and its verified encoder. The fusions rank the pool that the gateway
would make; nothing is trained here and nothing reads a judgement.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.datasets.search_weights import write_search_weights
from shopfuse.evaluation.judgments import Topic
from shopfuse.evaluation.offline.weight_search import JudgedPool, WeightSearch, search_weights
from shopfuse.inference.onnx_model import OnnxModel
from shopfuse.inference.release_models import ReleaseModels
from shopfuse.inference.text_encoding import TextEncoding
from shopfuse.local.stack import stable_release
from shopfuse.ranking.channels import CHANNELS, SEARCH
from shopfuse.ranking.features import History
from shopfuse.ranking.filter import NO_FILTER
from shopfuse.ranking.fusion import FUSION_METHODS, channel_weights, fuse, normalise
from shopfuse.ranking.order import in_order
from shopfuse.ranking.text import normalise_query
from shopfuse.ranking.user_state import UNKNOWN_USER
from shopfuse.recall.channels import POOL, channel_scores, pool, search
from shopfuse.recall.co_visit import CO_VISIT_INDEX
from shopfuse.recall.hits import NO_HITS, Hits
from shopfuse.recall.indexes import RecallIndexes
from shopfuse.recall.popular import POPULAR_INDEX
from shopfuse.recall.query import RecallQuery
from shopfuse.recall.user_history import user_history
from shopfuse.recall.vector_channels import TEXT_INDEX
from shopfuse.recall.word_channels import LEXICAL_INDEX
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest
from shopfuse.state.lmdb_store import LmdbStore

Rankings = dict[str, list[list[str]]]  # row -> one ranking of item ids for each topic
Encode = Callable[[Sequence[str]], NDArray[np.float32]]  # texts to vectors, [n, text_dim]


@dataclass(frozen=True, slots=True)
class OfflineRows:
    """The release, opened without a gateway."""

    indexes: RecallIndexes
    store: LmdbStore
    text: TextEncoding
    query_tower: OnnxModel
    learned: Mapping[str, float]  # the release's weights of channels, where judgments chose them

    def search_rows(self, topics: Sequence[Topic]) -> Rankings:
        """BM25, embeddings alone, and each score-level fusion."""
        rows: Rankings = {name: [] for name in ("bm25", "semantic", *FUSION_METHODS)}
        for query in self.queries(topics, self.indexes, self.text.encode):
            for name, ranking in self._topic(query).items():
                rows[name].append(self._ids(ranking))
        return rows

    def judged_pools(self, topics: Sequence[Topic]) -> list[JudgedPool]:
        """What the fusion `weighted` sees of each topic, with the grades of the candidates."""
        return [
            self._judged(topic, *self._candidates(query))
            for topic, query in zip(topics, self.queries(topics, self.indexes, self.text.encode), strict=True)
        ]

    def _judged(
        self, topic: Topic, rows: NDArray[np.int32], scores: NDArray[np.float32], mask: NDArray[np.float32]
    ) -> JudgedPool:
        order = np.argsort(rows)  # equal scores come in the order of rows
        grades = [topic.grades.get(item_id, np.nan) for item_id in self.indexes.items.item_ids(rows[order])]
        judged = list(topic.grades.values())
        return JudgedPool(normalise(scores, mask)[order], mask[order], np.array(grades, np.float64), judged)

    def queries(self, topics: Sequence[Topic], indexes: RecallIndexes, encode: Encode) -> list[RecallQuery]:
        """The topics as recall sees them, read by these indexes."""
        queries = [normalise_query(topic.query) for topic in topics]
        embeddings = encode([indexes[LEXICAL_INDEX].read(query).text for query in queries])
        embeddings *= self.indexes[TEXT_INDEX].vectors[:1].any()  # zeros where the encoder does not cover the language
        vectors = self.query_tower.run({"text_embedding": embeddings})["query_vector"]
        histories = [self._history(topic.user_id) for topic in topics]
        return [
            RecallQuery.of_user(history, query, embedding, np.asarray(vector, np.float32))
            for query, embedding, vector, history in zip(queries, embeddings, vectors, histories, strict=True)
        ]

    def recommend_rows(self, topics: Sequence[Topic]) -> Rankings:
        """What is popular, item-kNN (co-visits of the history), and the text most like the history's."""
        rows: Rankings = {"popularity": [], "item_knn": [], "content": []}
        for topic in topics:
            for name, hits in self._recommend(self._history(topic.user_id)).items():
                rows[name].append(self._ids(hits.rows))
        return rows

    def _ids(self, ranking: NDArray[np.int32]) -> list[str]:
        """The items of a ranking, a product once."""
        return self.indexes.items.item_ids(ranking[self.indexes.items.groups.once(ranking)])

    def _recommend(self, history: History) -> dict[str, Hits]:
        indexes, texts = self.indexes, self.indexes[TEXT_INDEX]
        selection = indexes.items.select(NO_FILTER)
        weights, known = history.weights(), history.rows >= 0
        popular = indexes[POPULAR_INDEX].search(POOL, selection)
        if not known.any():
            return dict.fromkeys(("popularity", "item_knn", "content"), popular)
        taste = weights[known] @ texts.vectors[history.rows[known]].astype(np.float32)
        taste /= max(float(np.linalg.norm(taste)), 1e-9)
        return {
            "popularity": popular,
            "item_knn": indexes[CO_VISIT_INDEX].search(history.rows, weights, POOL, selection),
            "content": texts.search(taste, POOL, selection),
        }

    def _history(self, user_id: str) -> History:
        user = self.store.users([user_id])[0] if user_id else UNKNOWN_USER
        return user_history(user, self.indexes.items, self.store.items, time.time())

    def _candidates(self, query: RecallQuery) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
        """The rows that the gateway would rank, and their channel scores and mask. Without unavailable items."""
        rows = pool(self.indexes, query, SEARCH, self.indexes.items.select(NO_FILTER))
        return rows, *channel_scores(self.indexes, rows, query)

    def _topic(self, query: RecallQuery) -> dict[str, NDArray[np.int32]]:
        """Rows of the release by row name, best first."""
        selection = self.indexes.items.select(NO_FILTER)
        rows, scores, mask = self._candidates(query)
        alone = {"bm25": "lexical", "semantic": "semantic"}
        rankings = {
            name: search(self.indexes, one, query, POOL, selection).rows
            if self.indexes.channels[one].applies(query)
            else NO_HITS.rows
            for name, one in alone.items()
        }
        for method in FUSION_METHODS:
            relevance, _ = fuse(method, scores, mask, SEARCH, self.learned)
            rankings[method] = rows[np.lexsort((rows, -in_order(relevance, scores, mask)))]
        return rankings


def open_offline_rows(workspace: Path, manifest: Manifest, store: LmdbStore) -> OfflineRows:
    """Raises ReleaseError or ExportError where a part of the release cannot be opened."""
    layout = ReleaseLayout(WorkspacePaths(workspace).release(manifest.release_id))
    models = ReleaseModels(layout, manifest)
    return OfflineRows(
        RecallIndexes.open(layout), store, models.text_encoding(), models.open("query_tower"), manifest.search_weights
    )


def cross_validate_weights(workspace: Path, topics: Sequence[Topic], folds: int) -> WeightSearch:
    """Chooses weights for the served release's channels. Raises WeightSearchError where there are too few topics."""
    manifest = stable_release(workspace)
    with LmdbStore.open(WorkspacePaths(workspace).store) as store:
        pools = open_offline_rows(workspace, manifest, store).judged_pools([t for t in topics if t.answerable])
    in_use = channel_weights(SEARCH, manifest.search_weights)
    return search_weights(pools, dict(zip(CHANNELS, in_use.tolist(), strict=True)), folds)


def keep_weights(workspace: Path, search: WeightSearch, judgments: Path) -> Path:
    """Keeps the chosen weights for the next build; gives the file that holds them."""
    made_by = {
        "judgments_sha256": hashlib.sha256(judgments.read_bytes()).hexdigest(),
        "queries": sum(fold.queries for fold in search.folds),
        "folds": len(search.folds),
        "ndcg@10_held_out": search.held_out,
        "ndcg@10_of_the_weights_before": search.in_use,
    }
    return write_search_weights(workspace, search.chosen, made_by)
