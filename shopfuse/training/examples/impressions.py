"""Replays logged requests point in time: what the ranker would have been given, had this shop's release served them.

Item statistics are those of the morning of the request's day, indexes those of the cut before all replayed requests,
histories end strictly before the request. Beside what was shown each list holds candidates that were recalled but not
shown: at serving time the ranker meets whole pools, not only lists that some policy has chosen. Requests for similar
items are made from visits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress, silent
from shopfuse.ranking.channels import CHANNELS, RECOMMEND, SEARCH, SIMILAR, Surface
from shopfuse.ranking.features import FEATURES, ITEM_ROW, Context, History, candidate_features
from shopfuse.ranking.repeats import DAY_S
from shopfuse.ranking.user_state import stronger
from shopfuse.recall.channels import channel_scores, pool
from shopfuse.recall.query import RecallQuery
from shopfuse.recall.vector_channels import query_like
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.data.event_log import IMPRESSION, EventLog
from shopfuse.training.data.item_statistics import item_rows_at
from shopfuse.training.data.snapshot import Snapshot
from shopfuse.training.data.user_histories import UserHistories
from shopfuse.training.examples.logged_features import NO_POSITION, LoggedLists
from shopfuse.training.examples.user_inputs import request_context

STAGE = "replay impressions"
LISTED = 16  # shown items of a list that are kept: the first ones, and every one that was clicked
RECALLED = 12  # candidates of the pool that were not shown
ANYWHERE = 4  # further items from the whole catalogue
LENGTH = LISTED + RECALLED + ANYWHERE
OF_VISIT = 64  # candidates of a list that was not shown: what was wanted among what recall brings
SEEDED = 4  # of so many lists one that was a visit is replayed as a request for similar items, too
NO_SEED = -1


@dataclass(frozen=True, slots=True)
class ImpressionList:
    """The impressions of one logged request: items, slots, and the strongest event on each, [n].

    It stands for `weight` requests of its kind.
    """

    request: int
    rows: NDArray[np.int32]
    position: NDArray[np.int16]
    outcome: NDArray[np.int8]
    weight: float = 1.0

    def take(self, chosen: NDArray[np.generic]) -> ImpressionList:
        return ImpressionList(self.request, self.rows[chosen], self.position[chosen], self.outcome[chosen], self.weight)

    @property
    def clicked(self) -> bool:
        return bool(self.outcome.any())

    @property
    def was_shown(self) -> bool:
        """False for what a visit wanted on its own, see examples/visits.py."""
        return bool((self.position >= 0).any())


def newest_impression_lists(log: EventLog, since: float, most: int) -> list[ImpressionList]:
    """The newest `most` lists since then with at least one click, and the others of their time, by time.

    Without the others every probability would be too high. They teach little else: of more than half as many a sample
    is taken, whose lists weigh more.
    """
    lists = sorted(_all_lists(log, since), key=lambda one: float(log.requests.at[one.request]))
    clicked = [one for one in lists if one.clicked][-most:]
    if not clicked:
        return []
    start = float(log.requests.at[clicked[0].request])
    others = [one for one in lists if not one.clicked and log.requests.at[one.request] >= start]
    kept = np.linspace(0, max(len(others) - 1, 0), min(len(others), max(1, len(clicked) // 2))).astype(int)
    weight = len(others) / max(len(kept), 1)
    sampled = [replace(others[place], weight=weight) for place in kept.tolist()]
    return sorted(clicked + sampled, key=lambda one: float(log.requests.at[one.request]))


def _all_lists(log: EventLog, since: float) -> Iterator[ImpressionList]:
    events = log.events
    of_requests = events.take((events.request >= 0) & (events.at >= since))
    strongest: dict[tuple[int, int], int] = {}
    engaged = of_requests.engaged
    for request, row, kind in zip(engaged.request.tolist(), engaged.row.tolist(), engaged.kind.tolist(), strict=True):
        strongest[request, row] = stronger(kind, strongest.get((request, row), 0))
    listed = of_requests.take(of_requests.kind == IMPRESSION)
    listed = listed.take(np.lexsort((listed.position, listed.request)))
    codes, starts = np.unique(listed.request, return_index=True)
    for code, start, end in zip(codes.tolist(), starts, np.append(starts, len(listed))[1:], strict=True):
        rows = listed.row[start:end]
        outcome = np.array([strongest.get((code, row), 0) for row in rows.tolist()], np.int8)
        yield _kept(ImpressionList(code, rows, listed.position[start:end], outcome))


def _kept(impressions: ImpressionList) -> ImpressionList:
    """The first LISTED items, the clicked ones before the others where not all fit."""
    kept = np.sort(np.argsort(impressions.outcome == 0, kind="stable")[:LISTED])
    return impressions.take(kept)


def with_similar(lists: Sequence[ImpressionList]) -> list[tuple[ImpressionList, int]]:
    """Every list with NO_SEED, and some visits once more as requests for items like one, with that item's row.

    Nobody ranked what a visit went on to: its first item is what the rest of it was wanted beside. A list that was
    shown to somebody who had just looked at an item answers another question.
    """
    replayed: list[tuple[ImpressionList, int]] = []
    for place, impressions in enumerate(lists):
        replayed.append((impressions, NO_SEED))
        if place % SEEDED == 0 and not impressions.was_shown and len(impressions.rows) > 1:
            replayed.append((impressions.take(np.arange(1, len(impressions.rows))), int(impressions.rows[0])))
    return replayed


@dataclass(frozen=True, slots=True)
class ReplayedRequest:
    """A request as recall and the feature table see it."""

    surface: Surface
    context: Context
    history: History
    query: RecallQuery


class Replay:
    """Computes features of requests as of their own moment."""

    def __init__(
        self, catalogue: Catalogue, log: EventLog, histories: UserHistories, snapshot: Snapshot, seed: int
    ) -> None:
        self._catalogue, self._log, self._histories, self._snapshot = catalogue, log, histories, snapshot
        self._random = np.random.default_rng(seed)
        self._day, self._item_rows = -1, np.zeros(0, ITEM_ROW)  # of one day: lists come by time

    def run(
        self,
        lists: Sequence[ImpressionList],
        queries: NDArray[np.float32],
        query_vectors: NDArray[np.float32],
        user_vectors: NDArray[np.float32],
        seeds: NDArray[np.int32],
        progress: Progress = silent,
    ) -> LoggedLists:
        """Logged lists, by time as `lists` are.

        Row n of `queries` (text embeddings), `query_vectors`, `user_vectors` and `seeds` is list n's.
        Zeros stand for an absent vector, -1 for no seed.
        """
        logged = _empty(len(lists), LENGTH if all(one.was_shown for one in lists) else OF_VISIT)
        for place, impressions in enumerate(lists):
            request = self._replayed(
                impressions, queries[place], query_vectors[place], user_vectors[place], int(seeds[place])
            )
            self._fill(logged, place, impressions, request)
            logged.seed[place] = seeds[place]
            if place % 50 == 0 or place + 1 == len(lists):
                progress(STAGE, place + 1, len(lists))
        return logged

    def _replayed(
        self,
        impressions: ImpressionList,
        text: NDArray[np.float32],
        query_vector: NDArray[np.float32],
        user_vector: NDArray[np.float32],
        seed: int,
    ) -> ReplayedRequest:
        requests = self._log.requests
        context = request_context(requests, impressions.request)
        history = self._histories.history(
            int(requests.user[impressions.request]), context.at, self._morning(context.at)
        )
        query = requests.query[impressions.request]
        if seed >= 0:
            return ReplayedRequest(SIMILAR, context, history, query_like(self._snapshot.indexes, seed))
        vector = query_vector if query else user_vector
        recall = RecallQuery.of_user(history, query, text if query else None, vector if vector.any() else None)
        return ReplayedRequest(SEARCH if query else RECOMMEND, context, history, recall)

    def _morning(self, at: float) -> NDArray[np.void]:
        """Item rows from the events before the UTC day of `at`."""
        day = int(at // DAY_S)
        if day != self._day:
            self._day, self._item_rows = day, item_rows_at(self._catalogue, self._log.events, day * DAY_S)
        return self._item_rows

    def _fill(self, logged: LoggedLists, place: int, impressions: ImpressionList, request: ReplayedRequest) -> None:
        if impressions.was_shown:
            others = self._negatives(impressions, request)
        else:
            impressions, others, logged.sampled[place] = self._recalled(impressions, request)
        rows = np.concatenate([impressions.rows, others])
        count, items = len(rows), self._morning(request.context.at)
        scores, mask = channel_scores(self._snapshot.indexes, rows, request.query)
        logged.request[place] = impressions.request
        logged.weight[place] = impressions.weight
        logged.rows[place, :count] = rows
        logged.position[place, : len(impressions.rows)] = impressions.position
        logged.outcome[place, : len(impressions.rows)] = impressions.outcome
        logged.features[place, :count] = candidate_features(
            self._catalogue.group[rows], items[rows], request.history, request.context, self._log.scenes
        )
        logged.channel_scores[place, :count], logged.channel_mask[place, :count] = scores, mask

    def _negatives(self, impressions: ImpressionList, request: ReplayedRequest) -> NDArray[np.int32]:
        """Candidates of the pool, and a few items from anywhere, of products that were not shown."""
        shown = self._snapshot.indexes.items.groups.variants(impressions.rows)[0]
        known = np.concatenate([impressions.rows, shown])
        others = np.setdiff1d(pool(self._snapshot.indexes, request.query, request.surface), known)
        recalled = self._random.choice(others, min(RECALLED, len(others)), replace=False)
        anywhere = self._random.integers(0, len(self._catalogue), ANYWHERE).astype(np.int32)
        return np.concatenate([recalled, np.setdiff1d(anywhere, np.concatenate([known, recalled]))])

    def _recalled(
        self, visit: ImpressionList, request: ReplayedRequest
    ) -> tuple[ImpressionList, NDArray[np.int32], float]:
        """What a visit wanted of what recall brings at its moment, others of that, and the share that they are of all
        others: what recall does not bring nobody can rank, and its empty channels would teach that nothing speaks for
        what is wanted."""
        brought = pool(self._snapshot.indexes, request.query, request.surface)
        group = self._catalogue.group  # recall brings one variant of a product, which stands for the one wanted
        wanted = visit.take(np.isin(group[visit.rows], group[brought]))
        others = np.sort(brought[~np.isin(group[brought], group[visit.rows])])
        count = min(OF_VISIT - len(wanted.rows), len(others))
        return wanted, self._random.choice(others, count, replace=False), count / max(len(others), 1)


def _empty(count: int, length: int) -> LoggedLists:
    return LoggedLists(
        request=np.zeros(count, np.int32),
        seed=np.full(count, -1, np.int32),
        rows=np.full((count, length), -1, np.int32),
        position=np.full((count, length), NO_POSITION, np.int16),
        outcome=np.zeros((count, length), np.int8),
        features=np.zeros((count, length, len(FEATURES)), np.float32),
        channel_scores=np.zeros((count, length, len(CHANNELS)), np.float32),
        channel_mask=np.zeros((count, length, len(CHANNELS)), np.float32),
        weight=np.ones(count, np.float32),
        sampled=np.ones(count, np.float32),
    )
