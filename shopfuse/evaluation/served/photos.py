"""Is the product that a photo shows among the first that the gateway answers with?

Every row goes through the gateway, as a shopper's search would: the image alone, words alone, and both together. The
words are a level of the true item's category, which a shopper who took the photo would know; without an image they
say how far words alone come. The row "prior" answers every photo with the items that most imported photos show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.datasets.importing.photo_source import Label, PhotoSourceError, open_photos
from shopfuse.datasets.workspace import Workspace
from shopfuse.evaluation.served.answers import page
from shopfuse.local.client import Client, connect
from shopfuse.local.requests import EVERYTHING, search_request
from shopfuse.local.stack import served_workspace
from shopfuse.metrics.bootstrap import bootstrap_interval

DEPTH = 5
MAX_LEVELS = 2  # of a category, from the top, that are tried as words


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo, the item that it shows, and that item's category from the top."""

    image: bytes
    item_id: str
    category: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PhotoRow:
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


def load_photos(source: Path, labels: Sequence[Label], workspace: Workspace) -> list[Photo]:
    """Raises PhotoSourceError where a photo cannot be read, or shows an item that the catalogue does not hold."""
    items = workspace.items().select("item_id", "category").collect()
    category = {item_id: tuple(path or ()) for item_id, path in items.rows()}
    unknown = sorted({label.item_id for label in labels} - set(category))
    if unknown:
        raise PhotoSourceError(f"{source}: photos show item {unknown[0]!r}, which the catalogue does not hold")
    with open_photos(source) as photos:
        return [Photo(photos.read(label), label.item_id, category[label.item_id]) for label in labels]


def score_photos(photos: Sequence[Photo], workspace: Workspace, progress: Progress) -> dict[str, dict[str, float]]:
    """By row the share of photos, with intervals, whose item is first or among the first; the workspace is served."""
    with served_workspace(workspace.root, progress) as endpoints, connect(endpoints.grpc) as client:
        return {row.name: row.summary() for row in _rows(client, photos, workspace, progress)}


def _rows(client: Client, photos: Sequence[Photo], workspace: Workspace, progress: Progress) -> Iterator[PhotoRow]:
    """Every way to ask, over all photos."""
    if prior := _most_shown(workspace):
        yield PhotoRow("prior", _places([prior] * len(photos), photos))
    levels = range(min(MAX_LEVELS, min(len(photo.category) for photo in photos)))
    ways: list[tuple[str, bool, int | None]] = [("image", True, None)]
    ways += [(f"words, level {level + 1}", False, level) for level in levels]
    ways += [(f"image and words, level {level + 1}", True, level) for level in levels]
    for name, with_image, level in ways:
        answers = []
        for photo in photos:
            words = "" if level is None else photo.category[level]
            answers.append(_answer(client, photo.image if with_image else b"", words))
            progress(name, len(answers), len(photos))
        yield PhotoRow(name, _places(answers, photos))


def _answer(client: Client, image: bytes, words: str) -> list[str]:
    return page(client.searches.Search, search_request(words, image=image, page_size=DEPTH, items=EVERYTHING))[0]


def _most_shown(workspace: Workspace) -> list[str]:
    """The items that most imported photos show."""
    photos_of = Counter(workspace.photos().select("item_id").collect()["item_id"].to_list())
    return [item_id for item_id, _ in photos_of.most_common(DEPTH)]


def _places(answers: Sequence[Sequence[str]], photos: Sequence[Photo]) -> NDArray[np.int64]:
    return np.array(
        [
            answer.index(photo.item_id) if photo.item_id in answer else DEPTH
            for answer, photo in zip(answers, photos, strict=True)
        ],
        np.int64,
    )
