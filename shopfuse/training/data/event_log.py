"""The events of a shop as arrays in the order of time: impressions, what followed them, and their requests.

Reading, cleaning and coding; nothing here decides what a model may see at which moment. `before` is the one cut.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.ranking.features import SCENE_SLOTS
from shopfuse.ranking.text import normalise_query
from shopfuse.ranking.user_state import EVENT_CODES
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.data.cleaning import Cleaning, clean_events
from shopfuse.training.data.led_searches import NO_SEARCHES, LedSearches, led_searches

IMPRESSION = 0  # beside EVENT_CODES, where 0 is free
_KINDS = {"view_item_list": IMPRESSION, **EVENT_CODES}
_COLUMNS = (
    "event_name", "timestamp", "user_id", "session_id", "request_id", "query", "item_id", "position", "list_name",
    "scene", "device",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Events:
    """Events on known items, [n] each, by time. A request is -1 where the event names none."""

    at: NDArray[np.float64]  # seconds
    kind: NDArray[np.int8]  # IMPRESSION or user_state.EVENT_CODES
    row: NDArray[np.int32]
    user: NDArray[np.int32]
    session: NDArray[np.int32]
    request: NDArray[np.int32]
    position: NDArray[np.int16]  # -1 where unknown
    scene: NDArray[np.int8]  # slot of the scene vocabulary, -1 on ordinary days

    def __len__(self) -> int:
        return len(self.at)

    def take(self, chosen: NDArray[np.generic]) -> Events:
        return Events(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def before(self, at: float) -> Events:
        """The events strictly before `at`."""
        return self.take(np.arange(int(np.searchsorted(self.at, at, side="left"))))

    def of_groups(self, codes: NDArray[np.int32]) -> Events:
        """The same events as of the products: what happened to a variant happened to its group. `codes` [N] are the
        groups' lowest rows."""
        return replace(self, row=codes[self.row])

    def as_shown(self, codes: NDArray[np.int32]) -> Events:
        """The same events, what was done with a variant that a request did not show being done with the one that it
        showed of the product: that is what the request was good for. `codes` [N] as in of_groups."""
        shown = self.take((self.kind == IMPRESSION) & (self.request >= 0))
        products, first = np.unique(self._in_requests(shown.request, codes[shown.row]), return_index=True)
        if len(products) == 0:
            return self
        own = self._in_requests(self.request, codes[self.row])
        place = np.minimum(np.searchsorted(products, own), len(products) - 1)
        moved = (self.kind != IMPRESSION) & (self.request >= 0) & (products[place] == own)
        moved &= ~np.isin(self._in_requests(self.request, self.row), self._in_requests(shown.request, shown.row))
        return replace(self, row=np.where(moved, shown.row[first[place]], self.row))

    def _in_requests(self, request: NDArray[np.int32], row: NDArray[np.int32]) -> NDArray[np.int64]:
        """A key of each pair."""
        return request.astype(np.int64) * (int(self.row.max(initial=0)) + 1) + row

    @property
    def engaged(self) -> Events:
        """Without impressions."""
        return self.take(self.kind != IMPRESSION)


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests that the events speak of, by code: when the first event of each came, and what was asked."""

    ids: list[str]
    at: NDArray[np.float64]
    user: NDArray[np.int32]
    query: list[str]  # normalised; "" on recommendation surfaces
    device: list[str]
    scene: list[str]

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, slots=True)
class EventLog:
    events: Events
    requests: Requests
    users: list[str]
    scenes: tuple[str, ...]  # the scene vocabulary in slot order
    cleaning: Cleaning  # what was taken out first
    led: LedSearches = NO_SEARCHES


def load_event_log(frame: pl.LazyFrame, catalogue: Catalogue, scenes: tuple[str, ...] | None = None) -> EventLog:
    """The cleaned log of an EVENT_SCHEMA frame. The scene vocabulary is the most frequent scenes unless given."""
    raw = (
        frame.select(*_COLUMNS, "event_id", "price", "quantity")
        .filter(pl.col("event_name").is_in([*_KINDS, "search"]))
        .sort("timestamp", "event_id")
        .collect()
    )
    events, cleaning = clean_events(raw)
    vocabulary = scene_vocabulary(events) if scenes is None else scenes
    users, user = _codes(events["user_id"])
    request_ids, request = _codes(events["request_id"])
    at = (events["timestamp"].dt.epoch("us").cast(pl.Float64) / 1e6).to_numpy()
    rows = catalogue.rows(events["item_id"])
    kind = events["event_name"].replace_strict(_KINDS, default=-1, return_dtype=pl.Int8).to_numpy()
    slots = {name: slot for slot, name in enumerate(vocabulary)}
    log = Events(
        at=at,
        kind=kind,
        row=rows,
        user=user,
        session=_codes(events["session_id"])[1],
        request=request,
        position=events["position"].fill_null(-1).cast(pl.Int16).to_numpy(),
        scene=events["scene"].replace_strict(slots, default=-1, return_dtype=pl.Int8).to_numpy(),
    )
    requests = _requests(events.with_columns(request=request, user=user), request_ids)
    led = led_searches(events.with_columns(row=rows, user=user))
    return EventLog(log.take((rows >= 0) & (kind >= 0)), requests, users, vocabulary, cleaning, led)


def scene_vocabulary(events: pl.DataFrame) -> tuple[str, ...]:
    """The most frequent scenes, at most SCENE_SLOTS, in the order of their names."""
    counts = events.filter(pl.col("scene").is_not_null() & (pl.col("scene") != "")).group_by("scene").len()
    top = counts.sort("len", "scene", descending=[True, False]).head(SCENE_SLOTS)
    return tuple(sorted(top["scene"].to_list()))


def _codes(names: pl.Series) -> tuple[list[str], NDArray[np.int32]]:
    """Distinct values in order of appearance, and each row's index among them (-1 for null)."""
    distinct = names.drop_nulls().unique(maintain_order=True)
    table = pl.DataFrame({"name": distinct, "code": np.arange(len(distinct), dtype=np.int32)})
    joined = pl.DataFrame({"name": names}).join(table, on="name", how="left", maintain_order="left")
    return distinct.to_list(), joined["code"].fill_null(-1).to_numpy().astype(np.int32)


def _requests(events: pl.DataFrame, ids: list[str]) -> Requests:
    """One row for each request code, from its first event; the query from whichever of its events carries it."""
    known = events.filter(pl.col("request") >= 0)
    rows = (
        known.group_by("request")
        .agg(
            pl.col("timestamp").first().dt.epoch("us").cast(pl.Float64) / 1e6,
            pl.col("user").first(),
            pl.col("query").drop_nulls().first(),
            pl.col("device").first(),
            pl.col("scene").first(),
        )
        .sort("request")
    )
    return Requests(
        ids=ids,
        at=rows["timestamp"].to_numpy(),
        user=rows["user"].to_numpy(),
        query=[normalise_query(query) for query in rows["query"].fill_null("").to_list()],
        device=rows["device"].fill_null("").to_list(),
        scene=rows["scene"].fill_null("").to_list(),
    )
