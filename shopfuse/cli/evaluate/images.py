"""`shopfuse evaluate images`: is the product that a photo shows among the first that the gateway answers with?

Every row goes through the gateway, as a shopper's search would: the image alone, words alone, and both together. The
words are a level of the true item's category, which a shopper who took the photo would know; without an image they
say how far words alone come. The row "prior" answers every photo with the items that most imported photos show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.cli.console import out, print_json, print_table, progress_bars
from shopfuse.cli.import_photos import ItemColumnOption, LabelsOption, OnlyOption, PhotoColumnOption, PhotosArgument
from shopfuse.cli.options import JsonOption, WorkspaceOption
from shopfuse.core.progress import Progress
from shopfuse.datasets.importing.photo_source import Label, PhotoSourceError, open_photos, read_labels
from shopfuse.datasets.workspace import Workspace
from shopfuse.local.client import Client, call, connect
from shopfuse.local.endpoints import NotServed, read_endpoints
from shopfuse.local.stack import StackOptions, local_stack, stable_release
from shopfuse.metrics.ndcg import bootstrap_interval
from shopfuse.v1 import item_pb2, search_pb2

TIMEOUT_S = 10.0
DEPTH = 5
MAX_LEVELS = 2  # of a category, from the top, that are tried as words
EVERYTHING = item_pb2.ItemFilter(include_unavailable=True)


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo, the item that it shows, and that item's category from the top."""

    image: bytes
    item_id: str
    category: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """How a way to ask did: the place of the true item in each answer, DEPTH where it was not among the first."""

    name: str
    places: NDArray[np.int64]  # [n]

    def summary(self) -> dict[str, float]:
        result = {"photos": float(len(self.places))}
        for name, reach in (("top1", 1), ("top5", DEPTH)):
            hits = (self.places < reach).astype(np.float64)
            low, high = bootstrap_interval(hits)
            result |= {name: float(hits.mean()), f"{name}_low": low, f"{name}_high": high}
        return result


@contextmanager
def served_address(workspace: Path, progress: Progress) -> Iterator[str]:
    """Of the running gateway of the workspace, or of one started for the block."""
    try:
        running = read_endpoints(workspace)
    except NotServed:
        with local_stack(workspace, StackOptions(log_impressions=False), progress) as stack:
            yield stack.endpoints.grpc
    else:
        yield running.grpc


def load_photos(source: Path, labels: Sequence[Label], workspace: Workspace) -> list[Photo]:
    """Raises PhotoSourceError where a photo cannot be read, or shows an item that the catalogue does not hold."""
    items = workspace.items().select("item_id", "category").collect()
    category = {item_id: tuple(path or ()) for item_id, path in items.rows()}
    unknown = sorted({label.item_id for label in labels} - set(category))
    if unknown:
        raise PhotoSourceError(f"{source}: photos show item {unknown[0]!r}, which the catalogue does not hold")
    with open_photos(source) as photos:
        return [Photo(photos.read(label), label.item_id, category[label.item_id]) for label in labels]


def rows(client: Client, photos: Sequence[Photo], workspace: Workspace, progress: Progress) -> Iterator[Row]:
    """Every way to ask, over all photos."""
    if prior := _most_shown(workspace):
        yield Row("prior", _places([prior] * len(photos), photos))
    levels = range(min(MAX_LEVELS, min(len(photo.category) for photo in photos)))
    ways: list[tuple[str, bool, int | None]] = [("image", True, None)]
    ways += [(f"words, level {level + 1}", False, level) for level in levels]
    ways += [(f"image and words, level {level + 1}", True, level) for level in levels]
    for name, shown, level in ways:
        answers = []
        for photo in photos:
            words = "" if level is None else photo.category[level]
            answers.append(_ask(client, photo.image if shown else b"", words))
            progress(name, len(answers), len(photos))
        yield Row(name, _places(answers, photos))


def _ask(client: Client, image: bytes, words: str) -> list[str]:
    request = search_pb2.SearchRequest(query=words, query_image=image, page_size=DEPTH, filter=EVERYTHING)
    response: Any = call(client.searches.Search, request, TIMEOUT_S)
    return [item.item_id for item in response.items]


def _most_shown(workspace: Workspace) -> list[str]:
    """The items that most imported photos show."""
    shown = Counter(workspace.photos().select("item_id").collect()["item_id"].to_list())
    return [item_id for item_id, _ in shown.most_common(DEPTH)]


def _places(answers: Sequence[Sequence[str]], photos: Sequence[Photo]) -> NDArray[np.int64]:
    return np.array(
        [
            answer.index(photo.item_id) if photo.item_id in answer else DEPTH
            for answer, photo in zip(answers, photos, strict=True)
        ],
        np.int64,
    )


def images(
    source: PhotosArgument,
    labels: LabelsOption,
    workspace: WorkspaceOption,
    photo_column: PhotoColumnOption = "photo",
    item_column: ItemColumnOption = "item_id",
    only: OnlyOption = "",
    json: JsonOption = False,
) -> None:
    """Photo to product through the gateway: top 1 and top 5 of the image, of words, and of both.

    shopfuse evaluate images photos.zip --labels photos.csv --only test/ -w myshop
    """
    shop = Workspace.open(workspace)
    release_id = stable_release(workspace).release_id
    photos = load_photos(source, read_labels(labels, photo_column, item_column, only), shop)
    with progress_bars() as progress, served_address(workspace, progress) as address, connect(address) as client:
        summaries = {row.name: row.summary() for row in rows(client, photos, shop, progress)}
    report(summaries, release_id, json)


def report(summaries: dict[str, dict[str, float]], release_id: str, as_json: bool) -> None:
    if as_json:
        print_json({"rows": summaries, "release_id": release_id})
        return
    table = [
        [name, *(f"{row[k]:.3f} ({row[f'{k}_low']:.3f}..{row[f'{k}_high']:.3f})" for k in ("top1", "top5"))]
        for name, row in summaries.items()
    ]
    print_table(f"photo to product, release {release_id}", ("row", "top 1 (95 %)", "top 5 (95 %)"), table)
    out.print(f"{int(next(iter(summaries.values()))['photos'])} photos")
