"""What a release brings of the shop itself: tokenizer, item arrays and recall indexes in its folder, rows in the store.

The online feature store is shared by all releases and lives on between them: rows are replaced, none is removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tokenizers import Tokenizer

from shopfuse.core.progress import Progress
from shopfuse.ranking.item import CatalogueItem
from shopfuse.recall.arrays import write_array
from shopfuse.recall.indexes import build_indexes
from shopfuse.release.layout import ReleaseLayout
from shopfuse.state.lmdb_store import LmdbStore
from shopfuse.state.store import Display
from shopfuse.training.data.catalogue import catalogue_items
from shopfuse.training.data.snapshot import index_contents
from shopfuse.training.data.user_histories import user_states
from shopfuse_exporters.encoding.catalogue import EncodedItems
from shopfuse_exporters.models.shop import Shop

ROWS_AT_ONCE = 20_000  # of one transaction: readers see a mix of old and new items for a moment, never half a row


def write_indexes(
    layout: ReleaseLayout, shop: Shop, items: EncodedItems, tokenizer: Tokenizer, progress: Progress
) -> None:
    """Fills an empty release folder with everything but models, golden queries and manifest."""
    write_array(layout.item_vectors, items.item_vectors)
    write_array(layout.modality_vectors, items.modality_vectors)
    write_array(layout.modality_mask, items.modality_mask)
    catalogue, rows = shop.catalogue, shop.item_rows
    contents = index_contents(
        catalogue, shop.log.requests, shop.known, rows, items.text_vectors, items.item_vectors, items.image_vectors
    )
    for done, total in build_indexes(layout, contents):
        progress("write indexes", done, total)
    # As it is used: the file that came with a checkpoint often carries a padding to its longest input.
    tokenizer.save(str(layout.tokenizer))


def write_online_rows(path: Path, shop: Shop, progress: Progress) -> None:
    """Items, what is shown of them, and users' histories to the store at `path`. Raises StoreError."""
    ids = shop.catalogue.ids
    with LmdbStore.open(path, readonly=False) as store:
        store.put_users(user_states(shop.log, ids, shop.at))
        start = 0
        for part in _parts(catalogue_items(shop.catalogue.frame)):
            keys = [item.item_id.encode("ascii") for item in part]
            store.put_items(keys, shop.item_rows[start : start + len(part)])
            store.put_display(dict(zip(keys, map(_display, part), strict=True)))
            start += len(part)
            progress("write feature store", start, len(ids))


def _parts(items: Iterator[CatalogueItem]) -> Iterator[list[CatalogueItem]]:
    while part := list(islice(items, ROWS_AT_ONCE)):
        yield part


def _display(item: CatalogueItem) -> Display:
    return Display(item.title, item.price, item.currency, item.image_uri, item.brand, item.category)
