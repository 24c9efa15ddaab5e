"""Trains every model of a shop on its events, in the order in which each one's outputs feed the next.

Events before the cut train the image encoder and the towers; what was shown, and what users did on their own, after it
trains the ranker: towers that had seen a click would explain it better than they will ever explain a new one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.ranking.fusion import FUSION_METHODS
from shopfuse.ranking.tensors import TOKEN
from shopfuse.training.checkpoints.shop_models import ShopModels
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.data.cut import clicks_of, cut_moment
from shopfuse.training.data.event_log import EventLog
from shopfuse.training.data.provenance import data_hash
from shopfuse.training.data.snapshot import ItemVectors, take_snapshot, user_events
from shopfuse.training.data.user_histories import UserHistories, last_moment, user_histories
from shopfuse.training.examples.clicks import log_exposure, tower_examples
from shopfuse.training.examples.impressions import ImpressionList, Replay, newest_impression_lists, with_similar
from shopfuse.training.examples.item_inputs import ItemInputs, encode_items, item_inputs
from shopfuse.training.examples.logged_features import write_logged
from shopfuse.training.examples.next_items import windows_before, windows_since
from shopfuse.training.examples.ranker_data import RankerData
from shopfuse.training.examples.user_inputs import user_inputs
from shopfuse.training.examples.visits import with_visits
from shopfuse.training.fusion.ranker import LEARNED
from shopfuse.training.models.towers import fit_query_tower
from shopfuse.training.trainers.id_start import id_start
from shopfuse.training.trainers.ranker import split_lists
from shopfuse.training.trainers.ranker_choice import AUTO, Fused, choose_ranker, without_training
from shopfuse.training.trainers.shop_images import ShopImages, image_models, image_training, session_pairs, shop_images
from shopfuse.training.trainers.tower_task import Towers, TowerTask
from shopfuse.training.trainers.tower_vectors import Queries, query_vectors, user_vectors
from shopfuse.training.trainers.towers import train_towers
from shopfuse.training.trainers.tuned_settings import TrainingSettings, read_tuned, settings_of

EncodeTexts = Callable[[list[str]], NDArray[np.float32]]

MIN_EVENTS = 3  # engaged events that give an item a behaviour embedding worth having
# Lists to learn from, below which the ranker stays a score-level fusion; an explicit wish is met with less.
MIN_LISTS = {AUTO: 200, **dict.fromkeys(LEARNED, 1), **dict.fromkeys(FUSION_METHODS, sys.maxsize)}
MAX_LISTS = 6_000  # the newest are enough, and replay is the slowest step
MAX_VISITS = 10_000
MAX_WINDOWS = 100_000  # of histories, the newest
MAX_LATER = 4_000  # users whose next items say when the towers have learned enough
MAX_QUERIES = 10_000  # encoded; clicks of rarer ones still teach about users


@dataclass(frozen=True, slots=True)
class ShopData:
    """What all trainers read."""

    workspace: Workspace
    catalogue: Catalogue
    log: EventLog
    histories: UserHistories
    text_vectors: NDArray[np.float32]
    encode_texts: EncodeTexts
    seed: int
    progress: Progress
    settings: TrainingSettings = field(default_factory=TrainingSettings)


@dataclass(frozen=True, slots=True)
class TrainedContent:
    """What the rankers build on: image encoder and towers, and what the item tower reads of the catalogue."""

    images: ShopImages | None
    towers: Towers
    inputs: ItemInputs
    metrics: dict[str, Any]

    @property
    def image_vectors(self) -> NDArray[np.float32] | None:
        """[N, image_dim], zeros where an item has no image; None where none has."""
        return self.images.vectors if self.images else None


@dataclass(frozen=True, slots=True)
class Logged:
    """What the rankers learn from."""

    data: RankerData  # by time
    items: ItemVectors


def train_shop(data: ShopData, fusion: str) -> ShopModels:
    """Trained models; the log must be `enough_to_train`. `fusion` as in build_models."""
    cut, queries = cut_moment(data.log), encode_queries(data)
    trained = train_content(data, cut, queries)
    fused, metrics, lists = chosen_ranker(data, cut, queries, trained, fusion)
    return shop_models(data, trained, fused, metrics, lists)


def shop_data(
    workspace: Workspace,
    catalogue: Catalogue,
    log: EventLog,
    text_vectors: NDArray[np.float32],
    encode_texts: EncodeTexts,
    seed: int,
    progress: Progress,
) -> ShopData:
    histories = user_histories(log.events, len(log.users), catalogue.group)
    log = replace(log, events=log.events.as_shown(catalogue.group))
    settings = settings_of(workspace.root)
    return ShopData(workspace, catalogue, log, histories, text_vectors, encode_texts, seed, progress, settings)


def shop_models(
    data: ShopData, trained: TrainedContent, fused: Fused, metrics: dict[str, Any], lists: int
) -> ShopModels:
    """Everything that was trained, ready to save; `lists` is how many the rankers were trained and chosen on."""
    return ShopModels(
        query_tower=trained.towers.query.eval(),
        item_tower=trained.towers.item.eval(),
        user_tower=trained.towers.user.eval(),
        fusion_ranker=fused.ranker.eval(),
        **images_of(trained),
        behaviour_embeddings=trained.inputs.behaviour.numpy(),
        behaviour_present=trained.inputs.presence[:, 2].numpy() > 0,
        scenes=data.log.scenes,
        tasks=fused.tasks,
        fusion=fused.method,
        ranks_similar=fused.ranks_similar,
        metrics={**trained.metrics, **metrics},
        made_by=training_record(data.workspace, len(clicks_of(data.log.events)), lists, data.settings),
    )


def training_record(workspace: Workspace, clicks: int, lists: int, settings: TrainingSettings) -> dict[str, Any]:
    """How the models were made: the settings of every trainer and a hash of what they were trained on."""
    return {
        "towers": "trained",
        "clicks": clicks,
        "lists": lists,
        "data": data_hash(workspace),
        "events_until": last_moment(workspace.events()),  # later events are held out from everything
        "image_training": asdict(image_training(workspace)),
        "tower_training": asdict(settings.towers),
        "ranker_training": asdict(settings.ranker),
        "tuned": read_tuned(workspace.root),
    }


def images_of(trained: TrainedContent) -> dict[str, Any]:
    """The fields of ShopModels that a shop with images has."""
    if trained.images is None:
        return {"image_encoder": None}
    vectors, _ = encode_items(trained.towers.item, trained.inputs)
    return image_models(trained.images, vectors)


def logged_lists(
    data: ShopData, cut: float, lists: list[ImpressionList], queries: Queries, trained: TrainedContent
) -> Logged:
    """The lists, all after the cut, as the rankers learn from them; the slowest step."""
    vectors, tokens = encode_items(trained.towers.item, trained.inputs)
    items = ItemVectors(vectors.astype(np.float16), tokens.astype(np.float16), trained.inputs.presence.numpy())
    return Logged(replay_lists(data, cut, lists, queries, trained, items), items)


def lists_after(data: ShopData, cut: float) -> tuple[ShopData, list[ImpressionList]]:
    """(the shop with a request for each visit, what was shown and what was visited after the cut, by time)."""
    log, visited = with_visits(data.log, data.histories, cut, MAX_VISITS, data.seed)
    lists = newest_impression_lists(data.log, cut, MAX_LISTS) + visited
    return replace(data, log=log), sorted(lists, key=lambda one: float(log.requests.at[one.request]))


def chosen_ranker(
    data: ShopData, cut: float, queries: Queries, trained: TrainedContent, fusion: str
) -> tuple[Fused, dict[str, Any], int]:
    """(the method `fusion`, metrics, how many lists there were): a score-level one where there are too few to learn."""
    data, lists = lists_after(data, cut)
    if sum(impressions.clicked for impressions in lists) < MIN_LISTS[fusion]:
        return without_training(fusion), {}, len(lists)
    logged = logged_lists(data, cut, lists, queries, trained)
    fused, metrics = choose_ranker(
        logged.data,
        logged.items,
        trained.towers.heads,
        fusion,
        seed=data.seed,
        settings=data.settings.ranker,
        progress=data.progress,
    )
    _, validation = split_lists(len(logged.data))
    since = data.log.requests.at[logged.data.lists.request[validation]]
    return fused, {**metrics, "held_out_since": float(since.min(initial=np.inf))}, len(lists)


def encode_queries(data: ShopData) -> Queries:
    """The embeddings of the newest distinct queries that led to a click."""
    codes = clicks_of(data.log.events).request[::-1]
    newest = dict.fromkeys(data.log.requests.query[code] for code in codes.tolist())
    queries = sorted([query for query in newest if query][:MAX_QUERIES])
    vectors = data.encode_texts(queries) if queries else None
    if vectors is None:
        return Queries({}, np.zeros((1, data.text_vectors.shape[1]), np.float32))
    return Queries({query: row for row, query in enumerate(queries)}, vectors.astype(np.float32))


def train_content(data: ShopData, cut: float, queries: Queries) -> TrainedContent:
    """The image encoder and the towers, from the events before the cut."""
    images, task = tower_task(data, cut, queries)
    towers, metrics = train_towers(task, progress=data.progress)
    behaviour, inputs = towers.behaviour.weight.detach()[task.product], task.inputs
    final = ItemInputs(inputs.text, inputs.image, behaviour, inputs.attributes, inputs.presence)
    if not (task.examples.query >= 0).any():  # no search taught it what a query means: what its item's text does
        vectors, _ = encode_items(towers.item, final)
        fit_query_tower(towers.query, data.text_vectors, vectors)
    return TrainedContent(images, towers, final, (images.metrics if images else {}) | metrics)


def tower_task(data: ShopData, cut: float, queries: Queries) -> tuple[ShopImages | None, TowerTask]:
    """The trained image encoder, and what the towers learn from."""
    events = data.log.events.before(cut)
    images = shop_images(
        data.workspace,
        data.catalogue,
        data.text_vectors,
        session_pairs(events),
        seed=data.seed,
        progress=data.progress,
    )
    of_products = events.of_groups(data.catalogue.group)
    engaged = np.bincount(of_products.engaged.row, minlength=len(data.catalogue))[data.catalogue.group]
    placeholder = np.zeros((len(data.catalogue), TOKEN), np.float32)
    inputs = item_inputs(
        data.text_vectors,
        data.catalogue.attributes,
        images.vectors if images else None,
        images.present if images else None,
        placeholder,
        engaged >= MIN_EVENTS,
    )
    windows = windows_before(data.histories, cut, MAX_WINDOWS)
    examples, settings = tower_examples(data.log, events, data.histories, queries.row), data.settings.towers
    if len(examples) == 0:
        settings = settings.of_histories_alone(len(windows.row) / len(data.catalogue))
    return images, TowerTask(
        examples=examples,
        windows=windows,
        later=windows_since(data.histories, cut, np.inf, MAX_LATER),
        inputs=inputs,
        query_vectors=queries.vectors,
        exposure=log_exposure(events, len(data.catalogue)),
        start=id_start(user_events(of_products), len(data.catalogue), data.seed),
        product=data.catalogue.group,
        seed=data.seed,
        settings=settings,
    )


def replay_lists(
    data: ShopData,
    cut: float,
    lists: list[ImpressionList],
    queries: Queries,
    trained: TrainedContent,
    items: ItemVectors,
) -> RankerData:
    """The logged features of these lists, which also go to the workspace's cache as Parquet."""
    snapshot = take_snapshot(
        data.workspace.paths.replay, data.catalogue, data.text_vectors, items, data.log, cut, trained.image_vectors
    )
    replayed = with_similar(lists)
    seeds = np.array([seed for _, seed in replayed], np.int32)
    codes = np.array([impressions.request for impressions, _ in replayed], np.int32)
    text_embeddings = queries.of([data.log.requests.query[code] for code in codes.tolist()])
    inputs = user_inputs(data.histories, data.log.requests, codes, data.log.scenes)
    users = user_vectors(trained.towers.user, inputs, items.vectors)
    query = query_vectors(trained.towers.query, text_embeddings)
    query = np.where(seeds[:, None] >= 0, items.vectors[seeds].astype(np.float32), query)
    replay = Replay(data.catalogue, data.log, data.histories, snapshot, data.seed)
    logged = replay.run(
        [impressions for impressions, _ in replayed], text_embeddings, query, users, seeds, data.progress
    )
    write_logged(data.workspace.paths.logged_features, logged)
    return RankerData(logged, query, users, inputs)
