"""The rows that a release brings to the online feature store: items, what is shown of them, and users' histories.

The store is shared by all releases and lives on between them: rows are replaced, none is removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from shopfuse.core.progress import Progress
from shopfuse.ranking.item import CatalogueItem
from shopfuse.state.lmdb_store import LmdbStore
from shopfuse.state.store import Display
from shopfuse.training.data.catalogue import catalogue_items
from shopfuse.training.data.user_histories import user_states
from shopfuse_exporters.models.shop import Shop

ROWS_AT_ONCE = 20_000  # of one transaction: readers see a mix of old and new items for a moment, never half a row


def write_online_rows(path: Path, shop: Shop, progress: Progress) -> int:
    """Writes all rows of the shop; gives the number of users with a history. Raises StoreError."""
    ids = shop.catalogue.ids
    users = user_states(shop.log, ids, shop.at)
    with LmdbStore.open(path, readonly=False) as store:
        store.put_users(users)
        start = 0
        for part in _parts(catalogue_items(shop.catalogue.frame)):
            keys = [item.item_id.encode("ascii") for item in part]
            store.put_items(keys, shop.item_rows[start : start + len(part)])
            store.put_display(dict(zip(keys, map(_display, part), strict=True)))
            start += len(part)
            progress("write feature store", start, len(ids))
    return len(users)


def _parts(items: Iterator[CatalogueItem]) -> Iterator[list[CatalogueItem]]:
    while part := list(islice(items, ROWS_AT_ONCE)):
        yield part


def _display(item: CatalogueItem) -> Display:
    return Display(item.title, item.price, item.currency, item.image_uri, item.brand, item.category)
