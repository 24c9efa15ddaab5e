"""A release measured on judged queries with other constants, each time only from the step on that they change.

What is ranked is what the gateway ranks where nothing was learned from events: the fusion `weighted`, the rules above
it, the floor of meaning. Each text is encoded once, whatever is tried afterwards; for constants of a build the indexes
of words are written anew into a scratch folder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.judgments import Topic
from shopfuse.evaluation.offline.release_rows import OfflineRows, open_offline_rows
from shopfuse.evaluation.offline.search_constants import (
    BUILD,
    CONSTANTS,
    FLOOR,
    IN_USE,
    READ,
    RECALL,
    SCORE,
    STAGES,
    varied,
)
from shopfuse.local.stack import stable_release
from shopfuse.metrics.ndcg import dcg
from shopfuse.ranking.channels import SEARCH
from shopfuse.ranking.filter import NO_FILTER
from shopfuse.ranking.fusion import PLAIN, fuse
from shopfuse.ranking.item import CatalogueItem
from shopfuse.ranking.order import in_order
from shopfuse.recall.categories import CATEGORY_INDEX
from shopfuse.recall.channels import channel_scores, pool
from shopfuse.recall.contents import Items
from shopfuse.recall.facts.identifiers import IDENTIFIER_INDEX, build_identifiers
from shopfuse.recall.facts.titles import TITLE_INDEX, build_titles
from shopfuse.recall.indexes import IndexFile, RecallIndexes
from shopfuse.recall.lexical import build_lexical
from shopfuse.recall.meaning_floor import meaning_floor, unrelated
from shopfuse.recall.query import RecallQuery
from shopfuse.recall.word_channels import LEXICAL_INDEX
from shopfuse.release.layout import ReleaseLayout
from shopfuse.state.lmdb_store import LmdbStore
from shopfuse.training.data.catalogue import catalogue_items

T = TypeVar("T")
Build = Callable[[ReleaseLayout, Items, str], None]
Floats = NDArray[np.float32]
Values = Mapping[str, Any]  # of constants, by name; those in use for the others
DEPTH = 10
# room of constants of a build -> the index that they make
WRITTEN_BY: Mapping[str, tuple[IndexFile[Any], Build]] = {
    "recall.words.": (LEXICAL_INDEX, lambda at, items, language: build_lexical(at.lexical, items, language)),
    "recall.facts.titles:": (TITLE_INDEX, lambda at, items, language: build_titles(at.titles, items, language)),
    "recall.facts.identifiers:": (
        IDENTIFIER_INDEX,
        lambda layout, items, _: build_identifiers(layout.identifiers, items),
    ),
}


@dataclass(frozen=True, slots=True)
class ScoredTopic:
    """The candidates of a query, in the order of rows, and how its judgments grade them."""

    query: RecallQuery
    rows: NDArray[np.int32]  # [c]
    scores: Floats  # [c, K]
    mask: Floats  # [c, K]
    grades: NDArray[np.float64]  # [c], NaN where nobody judged
    ideal: float


@dataclass
class JudgedRelease:
    """`items` are the catalogue's in the order of the release's rows, `topics` have a relevant item each."""

    layout: ReleaseLayout
    offline: OfflineRows
    items: Callable[[], Iterable[CatalogueItem]]
    language: str
    words_alone: bool
    topics: Sequence[Topic]
    scratch: Path
    _made: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    _encoded: dict[str, Floats] = field(default_factory=dict)

    def measure(self, values: Values) -> NDArray[np.float64]:
        """NDCG@10 of each topic over the whole catalogue and over the judged items alone, [topics, 2]."""
        with varied(values) as weights:
            indexes = self._once(READ, values, "indexes", lambda: self._indexes(values))
            queries = self._once(
                READ, values, "queries", lambda: self.offline.queries(self.topics, indexes, self.encode)
            )
            pools = self._once(RECALL, values, "pools", lambda: [self._pool(indexes, query) for query in queries])
            scored = self._once(SCORE, values, "scores", lambda: self._scored(indexes, queries, pools))
            floor = self._once(READ, values, "floor", lambda: meaning_floor(indexes, self.encode), FLOOR)
            learned = {**self.offline.learned, **weights}
            return np.array([self._ndcg(indexes, topic, floor, learned) for topic in scored])

    def _once(self, stage: str, values: Values, what: str, make: Callable[[], T], also: Sequence[str] = ()) -> T:
        """Made once for the same values of the constants up to a stage, and of some others."""
        reached = STAGES[: STAGES.index(stage) + 1]
        telling = (constant for constant in CONSTANTS if constant.stage in reached or constant.name in also)
        key = (what, *(values.get(constant.name, IN_USE[constant.name]) for constant in telling))
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    def _indexes(self, values: Values) -> RecallIndexes:
        """The release's, which remember no query yet; those of words written anew for other constants of a build."""
        indexes = self.offline.indexes
        for room, (file, _) in WRITTEN_BY.items():
            indexes = indexes.with_index(file, file.open(self._written(room, values)))
        return indexes

    def _written(self, room: str, values: Values) -> ReleaseLayout:
        """Where the index is that a room's constants make."""
        own = [one.name for one in CONSTANTS if one.stage == BUILD and one.name.startswith(room)]
        key = (room, *(values.get(name, IN_USE[name]) for name in own))
        if key[1:] == tuple(IN_USE[name] for name in own):
            return self.layout
        if key not in self._made:
            layout = ReleaseLayout(self.scratch / str(len(list(self.scratch.iterdir()))))
            WRITTEN_BY[room][1](layout, Items(self.items), self.language)
            self._made[key] = layout
        made: ReleaseLayout = self._made[key]
        return made

    def encode(self, texts: Sequence[str]) -> Floats:
        """The vectors of texts, [n, text_dim]; each text is encoded once."""
        new = [text for text in dict.fromkeys(texts) if text not in self._encoded]
        if new:
            self._encoded |= dict(zip(new, self.offline.text.encode(new), strict=True))
        return np.stack([self._encoded[text] for text in texts])

    def _pool(self, indexes: RecallIndexes, query: RecallQuery) -> NDArray[np.int32]:
        return np.sort(pool(indexes, query, SEARCH, indexes.items.select(NO_FILTER)))

    def _scored(
        self, indexes: RecallIndexes, queries: Sequence[RecallQuery], pools: Sequence[NDArray[np.int32]]
    ) -> list[ScoredTopic]:
        scored = []
        for topic, query, rows in zip(self.topics, queries, pools, strict=True):
            grades = [topic.grades.get(item_id, np.nan) for item_id in indexes.items.item_ids(rows)]
            ideal = dcg(sorted(topic.grades.values(), reverse=True)[:DEPTH])
            scores = channel_scores(indexes, rows, query)
            scored.append(ScoredTopic(query, rows, *scores, np.array(grades, np.float64), ideal))
        return scored

    def _ndcg(self, indexes: RecallIndexes, topic: ScoredTopic, floor: float, learned: Values) -> tuple[float, float]:
        relevance, _ = fuse(PLAIN, topic.scores, topic.mask, SEARCH, learned)
        order = np.argsort(-in_order(relevance, topic.scores, topic.mask), kind="stable")
        read = indexes[LEXICAL_INDEX].read(topic.query.query)
        if not indexes[CATEGORY_INDEX].chosen.was_asked(read.key):
            order = order[~unrelated(topic.scores, topic.mask, floor, read, self.words_alone)[order]]
        grades = topic.grades[order[indexes.items.groups.once(topic.rows[order])]]
        condensed = grades[~np.isnan(grades)][:DEPTH]
        whole = dcg(np.nan_to_num(grades[:DEPTH]).tolist())
        return whole / topic.ideal, dcg(condensed.tolist()) / topic.ideal


@contextmanager
def open_judged_release(workspace: Path, topics: Sequence[Topic]) -> Iterator[JudgedRelease]:
    """The release that a workspace serves, judged on those topics that have a relevant item."""
    manifest, shop = stable_release(workspace), Workspace.open(workspace)
    items = shop.items().collect().sort("item_id")
    with LmdbStore.open(WorkspacePaths(workspace).store) as store, tempfile.TemporaryDirectory() as scratch:
        yield JudgedRelease(
            ReleaseLayout(WorkspacePaths(workspace).release(manifest.release_id)),
            open_offline_rows(workspace, manifest, store),
            lambda: catalogue_items(items),
            shop.settings.language,
            bool(manifest.without_meaning),
            [topic for topic in topics if topic.answerable],
            Path(scratch),
        )
