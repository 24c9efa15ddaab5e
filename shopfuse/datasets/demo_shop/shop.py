"""Builds a workspace that holds the demo shop: catalogue, images, events, reviews and truth.

The same seed and sizes give the same bytes. The events are written day by day and the images as a stream, so that
memory grows with the catalogue and the shoppers but not with the log. What the shop is comes from world.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shopfuse.core.atomic_files import atomic_file
from shopfuse.core.progress import Progress, silent
from shopfuse.datasets.demo_shop.behaviour.event_rows import event_rows
from shopfuse.datasets.demo_shop.behaviour.reactions import DayLog, simulate_day
from shopfuse.datasets.demo_shop.behaviour.reviews import review_rows
from shopfuse.datasets.demo_shop.catalogue.images import image_rows
from shopfuse.datasets.demo_shop.catalogue.rows import item_ids, item_rows
from shopfuse.datasets.demo_shop.truth.graded import judgement_rows, recommend_truth, search_truth
from shopfuse.datasets.demo_shop.truth.similar import similar_truth
from shopfuse.datasets.demo_shop.world.period import LAST_DAY
from shopfuse.datasets.demo_shop.world.world import DemoShop, DemoShopError, simulate_shop
from shopfuse.datasets.parquet import write_parquet
from shopfuse.datasets.workspace import Workspace
from shopfuse.datasets.workspace_lock import workspace_lock


@dataclass(frozen=True, slots=True)
class DemoShopSize:
    """What was written, in rows."""

    items: int
    images: int
    users: int
    events: int
    reviews: int


def build_demo_shop(
    workspace: Workspace,
    *,
    items: int = 3000,
    users: int = 2500,
    days: int = 28,
    seed: int = 0,
    images: bool = True,
    last_day: date = LAST_DAY,
    groups: float = 0.0,
    progress: Progress = silent,
) -> DemoShopSize:
    """Fill a workspace without catalogue and events; DemoShopError when it has some or a size is out of bounds. A share
    `groups` of the items are variants of products in several colours and sizes."""
    if workspace.has_items or workspace.has_events:
        raise DemoShopError(f"{workspace.root}: has a catalogue or events; the demo shop needs a new workspace")
    with workspace_lock(workspace.root):
        shop = simulate_shop(items=items, users=users, days=days, seed=seed, last_day=last_day, groups=groups)
        return _write(workspace, shop, images, progress)


def _write(workspace: Workspace, shop: DemoShop, images: bool, report: Progress) -> DemoShopSize:
    ids = item_ids(len(shop.items))
    report("items", 0, len(ids))
    write_parquet(workspace.paths.items, item_rows(shop))
    report("items", len(ids), len(ids))
    if images:
        with atomic_file(workspace.paths.images) as path:
            rows = image_rows(shop, partial(report, "images"))
            rows.sink_parquet(path, compression="uncompressed", maintain_order=True)
    events, bought, reviews = _write_events(workspace, shop, ids, report)
    write_parquet(workspace.paths.reviews_table, reviews)
    report("truth", 0, 1)
    searches, shoppers = search_truth(shop), recommend_truth(shop, bought)
    write_parquet(workspace.paths.search_truth, judgement_rows(shop, searches, ids))
    write_parquet(workspace.paths.recommend_truth, judgement_rows(shop, shoppers, ids))
    write_parquet(workspace.paths.similar_truth, similar_truth(shop, ids))
    report("truth", 1, 1)
    return DemoShopSize(
        items=len(ids),
        images=len(ids) if images else 0,
        users=len(shop.users),
        events=events,
        reviews=len(reviews),
    )


def _write_events(
    workspace: Workspace, shop: DemoShop, ids: pl.Series, report: Progress
) -> tuple[int, dict[int, set[int]], pl.DataFrame]:
    """Write day after day; returns the number of events, what each shopper bought, and the reviews."""
    events = 0
    reviews = []
    bought: dict[int, set[int]] = {}
    for day in range(shop.period.days):
        log = simulate_day(shop, day)
        rows = event_rows(shop, log, ids)
        write_parquet(workspace.paths.events_of(shop.period.date_of(day)), rows)
        events += len(rows)
        note_purchases(log, bought)
        reviews.append(review_rows(shop, log, ids))
        report("events", day + 1, shop.period.days)
    return events, bought, pl.concat(reviews)


def note_purchases(log: DayLog, bought: dict[int, set[int]]) -> None:
    """Add the day's purchases to `bought`: user row -> item rows."""
    row, slot = np.nonzero(log.bought)
    buyers: NDArray[np.intp] = log.requests.people[log.requests.person[row]]
    for user, item in zip(buyers.tolist(), log.taken[row, slot].tolist(), strict=True):
        bought.setdefault(user, set()).add(item)
