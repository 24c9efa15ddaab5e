"""The files of one release below its folder: tokenizer, item arrays and recall indexes. The manifest comes later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shopfuse.core.progress import Progress
from shopfuse.exporters.catalogue_encoding import EncodedItems
from shopfuse.exporters.shop import Shop
from shopfuse.exporters.text_encoding import open_tokenizer
from shopfuse.recall.arrays import write_array
from shopfuse.recall.categories import build_categories
from shopfuse.recall.chosen_categories import Choices
from shopfuse.recall.co_visit import build_co_visit
from shopfuse.recall.item_table import build_item_table
from shopfuse.recall.lexical import LexicalIndex, build_lexical
from shopfuse.recall.popular import build_popular
from shopfuse.recall.vectors import build_vectors
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.verify import sha256_file
from shopfuse.training.catalogue import catalogue_items
from shopfuse.training.query_choices import query_choices
from shopfuse.training.snapshot import visit_sessions


def write_release_files(
    layout: ReleaseLayout, shop: Shop, items: EncodedItems, tokenizer: Path, max_tokens: int, progress: Progress
) -> None:
    """Fills an empty release folder with everything but the manifest."""
    frame = shop.catalogue.frame
    steps: tuple[Callable[[], object], ...] = (
        lambda: _write_items(layout, shop, items),
        lambda: build_lexical(layout.lexical, catalogue_items(frame), shop.catalogue.language),
        lambda: build_vectors(layout.semantic, items.text_vectors),
        lambda: build_categories(
            layout.categories, shop.catalogue.category, items.text_vectors, _choices(layout, shop)
        ),
        lambda: _write_visual(layout, items),
        lambda: build_vectors(layout.behaviour, items.item_vectors),
        lambda: build_co_visit(layout.indexes, visit_sessions(shop.known), len(shop.catalogue)),
        lambda: build_popular(layout.indexes, shop.item_rows["popularity"]),
    )
    for done, write in enumerate(steps, 1):
        write()
        progress("write indexes", done, len(steps))
    # Saved as it is used: checkpoints often carry a padding to their longest input.
    open_tokenizer(tokenizer, max_tokens).save(str(layout.tokenizer))


def _write_items(layout: ReleaseLayout, shop: Shop, items: EncodedItems) -> None:
    build_item_table(layout.items, catalogue_items(shop.catalogue.frame))
    write_array(layout.items / "item_vectors.npy", items.item_vectors)
    write_array(layout.items / "modality_vectors.npy", items.modality_vectors)
    write_array(layout.items / "modality_mask.npy", items.modality_mask)


def _write_visual(layout: ReleaseLayout, items: EncodedItems) -> None:
    if items.image_vectors is not None:
        build_vectors(layout.visual, items.image_vectors)


def _choices(layout: ReleaseLayout, shop: Shop) -> Choices:
    """What shoppers chose after their searches, read by the words of the release's own lexical index."""
    return query_choices(shop.log.requests, shop.known, LexicalIndex.open(layout.lexical).read)


def file_hashes(folder: Path) -> dict[str, str]:
    """The sha256 of every file below `folder`, by its path from there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256_file(path) for path in files}
