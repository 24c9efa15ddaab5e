"""The files of one release below its folder: tokenizer, item arrays and recall indexes. The manifest comes later."""

from __future__ import annotations

from tokenizers import Tokenizer

from shopfuse.core.progress import Progress
from shopfuse.recall.arrays import write_array
from shopfuse.recall.indexes import build_indexes
from shopfuse.release.layout import ReleaseLayout
from shopfuse.training.data.snapshot import index_contents
from shopfuse_exporters.encoding.catalogue import EncodedItems
from shopfuse_exporters.models.shop import Shop


def write_release_files(
    layout: ReleaseLayout, shop: Shop, items: EncodedItems, tokenizer: Tokenizer, progress: Progress
) -> None:
    """Fills an empty release folder with everything but the manifest."""
    _write_items(layout, items)
    catalogue, rows = shop.catalogue, shop.item_rows
    contents = index_contents(
        catalogue, shop.log.requests, shop.known, rows, items.text_vectors, items.item_vectors, items.image_vectors
    )
    for done, total in build_indexes(layout, contents):
        progress("write indexes", done, total)
    # As it is used: the file that came with a checkpoint often carries a padding to its longest input.
    tokenizer.save(str(layout.tokenizer))


def _write_items(layout: ReleaseLayout, items: EncodedItems) -> None:
    write_array(layout.item_vectors, items.item_vectors)
    write_array(layout.modality_vectors, items.modality_vectors)
    write_array(layout.modality_mask, items.modality_mask)
