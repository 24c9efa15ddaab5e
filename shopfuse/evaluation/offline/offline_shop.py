"""The models over a shop as the gateway would run them, in this process: a case in, scores of its pool out.

No batching across requests, no deadline and no fallback: it measures models, not serving.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shopfuse.evaluation.offline.baselines import OUTSIDE, spread
from shopfuse.evaluation.offline.judged_cases import NO_SEED, JudgedCase, Scorer
from shopfuse.ranking.channels import CHANNEL_COLUMN, SIMILAR, TABLE
from shopfuse.ranking.features import FEATURES, Context, History, candidate_features, context_features
from shopfuse.ranking.fusion import PLAIN, fuse
from shopfuse.ranking.history import history_tensors
from shopfuse.ranking.order import in_order
from shopfuse.ranking.tensors import MODALITIES, TASKS
from shopfuse.recall.categories import CATEGORY_INDEX
from shopfuse.recall.channels import channel_scores, pool
from shopfuse.recall.query import RecallQuery
from shopfuse.recall.vector_channels import query_like
from shopfuse.training.checkpoints.shop_models import ShopModels
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.data.event_log import EventLog, Requests
from shopfuse.training.data.snapshot import ItemVectors, Snapshot, take_snapshot, with_vectors
from shopfuse.training.data.user_histories import UserHistories
from shopfuse.training.examples.item_inputs import ItemInputs, encode_items
from shopfuse.training.examples.user_inputs import user_inputs
from shopfuse.training.fusion.ranker import FusionRanker
from shopfuse.training.trainers.tower_vectors import query_vectors, user_vectors

# An absent modality takes with it the channels and features that are computed from it. The vectors of the behaviour
# space stay: they hold what is left of the item.
ALWAYS = "behaviour"
FEATURES_OF: dict[str, tuple[str, ...]] = {
    "text": ("brand_affinity", "category_affinity", "parent_affinity"),
    "image": ("has_image",),
    "behaviour": ("popularity", "click_rate", "cart_rate", "purchase_rate"),
}


@dataclass(frozen=True, slots=True)
class Models:
    """The modules that answer a request."""

    item_tower: nn.Module
    query_tower: nn.Module
    user_tower: nn.Module
    ranker: nn.Module
    tasks: dict[str, float]
    ranks_similar: bool = True

    @classmethod
    def of(cls, models: ShopModels) -> Models:
        return cls(
            models.item_tower,
            models.query_tower,
            models.user_tower,
            models.fusion_ranker,
            models.tasks,
            models.ranks_similar,
        )


@dataclass(frozen=True, slots=True)
class World:
    """What is known of the shop at the moment of the evaluation."""

    catalogue: Catalogue
    log: EventLog
    histories: UserHistories
    text_vectors: NDArray[np.float32]
    at: float


class ServedShop:
    """One set of models over one world, perhaps without some modalities (masked everywhere, nothing is retrained)."""

    def __init__(
        self,
        world: World,
        models: Models,
        inputs: ItemInputs,
        folder: Path,
        without: Sequence[str] = (),
        base: Snapshot | None = None,
    ) -> None:
        """`folder` is replaced. `base` is the same world by other vectors: its words and counts are taken over."""
        self._world, self._models = world, models
        self._channels = frozenset(row.name for row in TABLE if row.modality in without and row.name != ALWAYS)
        self._features = [FEATURES.index(feature) for name in without for feature in FEATURES_OF[name]]
        kept = inputs.without(*without)
        vectors, tokens = encode_items(models.item_tower, kept)
        self.items = ItemVectors(vectors.astype(np.float16), tokens.astype(np.float16), kept.presence.numpy())
        images = inputs.image.numpy() if bool(inputs.presence[:, 1].any()) else None
        if base is None:
            self.snapshot = take_snapshot(
                folder, world.catalogue, world.text_vectors, self.items, world.log, world.at, images
            )
        else:
            self.snapshot = with_vectors(base, folder, world.text_vectors, self.items, images)
        if "behaviour" in without:
            self.snapshot = _without_choices(self.snapshot)
        self._prepared: dict[int, _PreparedCase] = {}

    def prepare(self, cases: Sequence[JudgedCase], query_embeddings: NDArray[np.float32]) -> None:
        """Encodes the cases' queries (embeddings [n, D], zeros for none) and users, all at once."""
        world = self._world
        count = len(cases)
        requests = Requests(
            ids=[""] * count,
            at=np.array([self._moment(case) for case in cases]),
            user=np.array([case.user for case in cases], np.int32),
            query=[case.query for case in cases],
            device=[case.device for case in cases],
            scene=[case.scene for case in cases],
        )
        codes = np.arange(count, dtype=np.int32)
        inputs = user_inputs(world.histories, requests, codes, world.log.scenes)
        users = user_vectors(self._models.user_tower, inputs, self.items.vectors)
        queries = query_vectors(self._models.query_tower, query_embeddings)
        for place, case in enumerate(cases):
            at = self._moment(case)
            context = Context(at, case.scene, case.device, len(case.query.split()))
            history = world.histories.history(case.user, at, self.snapshot.item_rows)
            text = query_embeddings[place] if case.query else None
            query = queries[place] if case.seed == NO_SEED else self.items.vectors[case.seed].astype(np.float32)
            self._prepared[id(case)] = _PreparedCase(context, history, text, query, users[place])

    def with_ranker(self, ranker: nn.Module, tasks: dict[str, float]) -> ServedShop:
        """The same shop with the same cases prepared, ranked by another ranker."""
        other = copy(self)
        other._models = replace(self._models, ranker=ranker, tasks=tasks)
        return other

    def with_histories(self, histories: UserHistories) -> ServedShop:
        """The same models and indexes, before shoppers of whom something else is known. Prepares no case."""
        other = copy(self)
        other._world, other._prepared = replace(self._world, histories=histories), {}
        return other

    def _moment(self, case: JudgedCase) -> float:
        return self._world.at if case.at is None else case.at

    def recall_query(self, case: JudgedCase) -> RecallQuery:
        """The case as recall sees it."""
        if case.seed != NO_SEED:
            return query_like(self.snapshot.indexes, case.seed)
        prepared = self._prepared[id(case)]
        vector = prepared.query if case.query else prepared.user
        return RecallQuery.of_user(prepared.history, case.query, prepared.text, vector if vector.any() else None)

    def vectors(self, case: JudgedCase) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The case's query and user vectors, [128] each."""
        prepared = self._prepared[id(case)]
        return prepared.query, prepared.user

    def scorer(self) -> Scorer:
        return lambda case: self._score(case)

    def _score(self, case: JudgedCase) -> NDArray[np.float32]:
        query = self.recall_query(case)
        rows = pool(self.snapshot.indexes, query, case.surface, case.selection, self._channels)
        if len(rows) == 0:
            return np.full(len(self._world.catalogue), OUTSIDE, np.float32)
        if case.surface == SIMILAR and not self._models.ranks_similar:
            relevance, _ = fuse(PLAIN, *self._channel_scores(rows, query), SIMILAR)
            return spread(rows, relevance, len(self._world.catalogue))
        tasks, _ = self.rank(case, query, rows)
        weights = np.array([self._models.tasks.get(task, 0.0) for task in TASKS], np.float32)
        scores = in_order(tasks @ weights, *self._channel_scores(rows, query))
        return spread(rows, scores, len(self._world.catalogue))

    def _channel_scores(
        self, rows: NDArray[np.int32], query: RecallQuery
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Without those of the modalities that are left out."""
        scores, mask = channel_scores(self.snapshot.indexes, rows, query)
        mask[:, [CHANNEL_COLUMN[name] for name in self._channels]] = 0.0
        return scores, mask

    @torch.no_grad()
    def rank(
        self, case: JudgedCase, query: RecallQuery, rows: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(task probabilities [c, T], modality weights [c, M]) of the candidates `rows`."""
        prepared, items = self._prepared[id(case)], self.items
        scores, mask = self._channel_scores(rows, query)
        features = candidate_features(
            self.snapshot.indexes.items.groups.of_rows(rows),
            self.snapshot.item_rows[rows],
            prepared.history,
            prepared.context,
            self._world.log.scenes,
        )
        features[:, self._features] = self._neutral()
        context = context_features(prepared.context, len(prepared.history.rows), self._world.log.scenes)
        arrays = (
            prepared.query,
            np.array([prepared.query.any()], np.float32),
            prepared.user,
            np.array([prepared.user.any()], np.float32),
            context,
            *history_tensors(prepared.history, items.vectors, prepared.context.at).values(),
            items.vectors[rows],
            items.tokens[rows],
            items.mask[rows],
            scores,
            mask,
            features,
            np.ones(len(rows), np.float32),
        )
        tasks, weights = self._models.ranker(*(torch.from_numpy(array)[None] for array in arrays))
        return tasks[0].numpy(), weights[0].numpy()

    def _neutral(self) -> NDArray[np.float32]:
        """What stands in for the features of an absent modality: the ranker's idea of an average item, else 0."""
        ranker = self._models.ranker
        average = ranker.average_features.numpy() if isinstance(ranker, FusionRanker) else np.zeros(len(FEATURES))
        neutral: NDArray[np.float32] = average[self._features].astype(np.float32)
        return neutral


@dataclass(frozen=True, slots=True)
class _PreparedCase:
    context: Context
    history: History
    text: NDArray[np.float32] | None
    query: NDArray[np.float32]
    user: NDArray[np.float32]


assert tuple(FEATURES_OF) == MODALITIES


def _without_choices(snapshot: Snapshot) -> Snapshot:
    """The category channel is of the text, except for what shoppers chose."""
    categories = snapshot.indexes[CATEGORY_INDEX].without_choices()
    return replace(snapshot, indexes=snapshot.indexes.with_index(CATEGORY_INDEX, categories))
