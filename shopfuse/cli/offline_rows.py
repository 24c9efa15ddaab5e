"""The rows beside the served one: single channels and the score-level fusions, computed here from the same release.

Every row ranks with the release's own indexes and its verified encoder. The fusions rank the pool that the gateway
would make; nothing is trained here and nothing reads a judgement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.cli.judgments import Topic
from shopfuse.cli.weight_search import JudgedPool
from shopfuse.exporters.onnx_session import OnnxModel
from shopfuse.exporters.text_encoding import TextEncoding, open_tokenizer
from shopfuse.gateway.recall import CHANNEL
from shopfuse.gateway.request import SEARCH
from shopfuse.gateway.settings import Settings
from shopfuse.ranking.features import NO_HISTORY, History
from shopfuse.ranking.filter import NO_FILTER
from shopfuse.ranking.fusion import FUSION_METHODS, fuse, normalise
from shopfuse.ranking.tensors import submodels
from shopfuse.ranking.text import normalise_query
from shopfuse.ranking.user_state import UNKNOWN_USER
from shopfuse.recall.found import Found
from shopfuse.recall.indexes import RecallIndexes, RecallQuery, channel_scores
from shopfuse.recall.merge import merge
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest, model_file
from shopfuse.state.lmdb_store import LmdbStore

Rankings = dict[str, list[list[str]]]  # row -> one ranking of item ids for each topic


@dataclass(frozen=True, slots=True)
class OfflineRows:
    """The release, opened without a gateway."""

    indexes: RecallIndexes
    store: LmdbStore
    text: TextEncoding
    query_tower: OnnxModel
    settings: Settings
    learned: Mapping[str, float]  # the release's weights of channels, where judgments chose them

    def search_rows(self, topics: Sequence[Topic]) -> Rankings:
        """BM25, embeddings alone, and each score-level fusion."""
        rows: Rankings = {name: [] for name in ("bm25", "semantic", *FUSION_METHODS)}
        for query in self._queries(topics):
            for name, ranking in self._topic(query).items():
                rows[name].append(self.indexes.items.item_ids(ranking))
        return rows

    def judged_pools(self, topics: Sequence[Topic]) -> list[JudgedPool]:
        """What the fusion `weighted` sees of each topic, with the grades of the candidates."""
        return [
            self._judged(topic, *self._candidates(query))
            for topic, query in zip(topics, self._queries(topics), strict=True)
        ]

    def _judged(
        self, topic: Topic, pool: NDArray[np.int32], scores: NDArray[np.float32], mask: NDArray[np.float32]
    ) -> JudgedPool:
        order = np.argsort(pool)  # equal scores come in the order of rows
        grades = [topic.grades.get(item_id, np.nan) for item_id in self.indexes.items.item_ids(pool[order])]
        judged = list(topic.grades.values())
        return JudgedPool(normalise(scores, mask)[order], mask[order], np.array(grades, np.float64), judged)

    def _queries(self, topics: Sequence[Topic]) -> list[RecallQuery]:
        """The topics as recall sees them."""
        queries = [normalise_query(topic.query) for topic in topics]
        embeddings = self.text.encode([self.indexes.lexical.read(query).text for query in queries])
        vectors = self.query_tower.run({"text_embedding": embeddings})["query_vector"]
        histories = [self._history(topic.user_id) for topic in topics]
        return [
            RecallQuery(query, embedding, np.asarray(vector, np.float32), history.rows, history.weights())
            for query, embedding, vector, history in zip(queries, embeddings, vectors, histories, strict=True)
        ]

    def recommend_rows(self, topics: Sequence[Topic]) -> Rankings:
        """What is popular, item-kNN (co-visits of the history), and the text most like the history's."""
        rows: Rankings = {"popularity": [], "item_knn": [], "content": []}
        for topic in topics:
            for name, found in self._recommend(self._history(topic.user_id)).items():
                rows[name].append(self.indexes.items.item_ids(found.rows))
        return rows

    def _recommend(self, history: History) -> dict[str, Found]:
        indexes, depth = self.indexes, self.settings.pool
        selection = indexes.items.select(NO_FILTER, np.zeros(0, np.int32))
        weights, known = history.weights(), history.rows >= 0
        popular = indexes.popular.search(depth, selection)
        if not known.any():
            return dict.fromkeys(("popularity", "item_knn", "content"), popular)
        taste = weights[known] @ indexes.semantic.vectors[history.rows[known]].astype(np.float32)
        taste /= max(float(np.linalg.norm(taste)), 1e-9)
        return {
            "popularity": popular,
            "item_knn": indexes.co_visit.search(history.rows, weights, depth, selection),
            "content": indexes.semantic.search(taste, depth, selection),
        }

    def _history(self, user_id: str) -> History:
        entries = self.store.users([user_id])[0].entries if user_id else UNKNOWN_USER.entries
        if len(entries) == 0:
            return NO_HISTORY
        items, _ = self.store.items(entries["item"].tolist())
        rows = self.indexes.items.rows(entries["item"])
        return History(rows, items, entries["event"].astype(np.int64), entries["at"].astype(np.float64))

    def _candidates(self, query: RecallQuery) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
        """The rows that the gateway would rank, and their channel scores and mask. Without unavailable items."""
        selection = self.indexes.items.select(NO_FILTER, np.zeros(0, np.int32))
        found = {
            name: CHANNEL[name].search(self.indexes, query, self.settings.per_channel, selection)
            for name in SEARCH.channels
            if CHANNEL[name].applies(query)
        }
        pool = merge(found, self.settings.pool)
        return pool, *channel_scores(self.indexes, pool, query)

    def _topic(self, query: RecallQuery) -> dict[str, NDArray[np.int32]]:
        """Rows of the release by row name, best first."""
        depth = self.settings.pool
        selection = self.indexes.items.select(NO_FILTER, np.zeros(0, np.int32))
        pool, scores, mask = self._candidates(query)
        rankings = {
            "bm25": CHANNEL["lexical"].search(self.indexes, query, depth, selection).rows,
            "semantic": CHANNEL["semantic"].search(self.indexes, query, depth, selection).rows,
        }
        for method in FUSION_METHODS:
            relevance, _ = fuse(method, scores, mask, is_search=True, learned=self.learned)
            rankings[method] = pool[np.lexsort((pool, -relevance))]
        return rankings


def open_offline_rows(workspace: Path, manifest: Manifest, store: LmdbStore) -> OfflineRows:
    """Raises ReleaseError or ExportError where a part of the release cannot be opened."""
    layout = ReleaseLayout(workspace / "releases" / manifest.release_id)
    declared = submodels(manifest.text_dim)

    def model(name: str) -> OnnxModel:
        return OnnxModel(declared[name], layout.root / model_file(manifest.models[name]))

    return OfflineRows(
        RecallIndexes.open(layout),
        store,
        TextEncoding(model("text_encoder"), open_tokenizer(layout.tokenizer, manifest.max_tokens)),
        model("query_tower"),
        Settings(workspace, "none:0"),
        manifest.search_weights,
    )
