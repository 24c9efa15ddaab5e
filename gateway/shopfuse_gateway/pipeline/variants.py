"""The other variants of the products on a page: those that pass the filter, the candidates first, best first, then the
rest of the group: what can be bought, in the order of the ids. The same on every page."""

from __future__ import annotations

import logging
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from shopfuse.recall.visits import place_in_run
from shopfuse.state.store import Display, StoreError
from shopfuse.v1 import item_pb2
from shopfuse_gateway.pipeline.call import Call
from shopfuse_gateway.pipeline.candidates import Candidates
from shopfuse_gateway.pipeline.rank import Scores
from shopfuse_gateway.pipeline.recall import Recalled
from shopfuse_gateway.releases.engine import Engine

log = logging.getLogger(__name__)

MOST_VARIANTS = 20  # of an item, the limit in the .proto file
PIECES_KEPT = 20_000  # about 8 MB

Rows = NDArray[np.int32]
Positions = NDArray[np.int64]


def variant_pieces(
    engine: Engine, call: Call, recalled: Recalled, candidates: Candidates, scores: Scores, positions: Positions
) -> list[bytes]:
    """For each item of the page its variants as a piece of a serialised RankedItem; none where a caller brought the
    candidates, for all of those come back themselves."""
    pieces = [b""] * len(positions)
    groups = engine.release.indexes.items.groups
    if not groups.present or call.request.candidate_ids:
        return pieces
    rows, place = groups.variants(candidates.rows[positions])
    shown = rows == candidates.rows[positions][place]
    passing = ~shown if recalled.selection is None else ~shown & recalled.selection.mask[rows]
    gone = ~engine.release.indexes.items.available[rows[passing]]
    rows, place = _best_first(rows[passing], gone, place[passing], candidates, scores)
    keys = engine.release.indexes.items.ids[rows].tolist()
    try:
        displays = engine.store.display(keys)
    except StoreError as error:  # the answer's own reading has said so
        log.warning("%s", error)
        displays = [None] * len(keys)
    for at, key, display in zip(place.tolist(), keys, displays, strict=True):
        pieces[at] += _piece(key, display)
    return pieces


def _best_first(
    rows: Rows, gone: NDArray[np.bool_], place: Positions, candidates: Candidates, scores: Scores
) -> tuple[Rows, Positions]:
    """MOST_VARIANTS of each place at most."""
    by_row = np.argsort(candidates.rows)
    at = by_row[np.minimum(np.searchsorted(candidates.rows, rows, sorter=by_row), len(by_row) - 1)]
    unfit = np.where(candidates.rows[at] == rows, -scores.score[at], np.inf)
    order = np.lexsort((rows, gone, unfit, place))
    order = order[place_in_run(place[order]) < MOST_VARIANTS]
    return rows[order], place[order]


@lru_cache(PIECES_KEPT)
def _piece(key: bytes, display: Display | None) -> bytes:
    shown = display or Display(title="")  # the store knows nothing of it
    variant = item_pb2.ItemVariant(
        item_id=key.decode(),
        title=shown.title,
        price=shown.price,
        currency=shown.currency,
        image_uri=shown.image_uri,
    )
    return item_pb2.RankedItem(variants=[variant]).SerializeToString()
