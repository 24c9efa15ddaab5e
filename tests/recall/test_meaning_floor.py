"""How near an item must be in meaning: measured by queries that no shop answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.channels import CHANNEL_COLUMN, CHANNELS
from shopfuse.recall.indexes import RecallIndexes
from shopfuse.recall.meaning_floor import STRANGERS, meaning_floor, unrelated
from shopfuse.recall.vector_channels import TEXT_INDEX
from shopfuse.release.layout import ReleaseLayout
from tests.gateway.tiny_release import KINDS, TEXT_DIM, build_indexes


def test_all_but_a_twentieth_of_each_kind_of_strangers_stays_below_the_floor(tmp_path: Path) -> None:
    build_indexes(ReleaseLayout(tmp_path))
    indexes = RecallIndexes.open(ReleaseLayout(tmp_path))
    asked: list[Sequence[str]] = []

    def encode(queries: Sequence[str]) -> NDArray[np.float32]:
        """A cosine of 0 to 1 to the first item, growing over the queries; half of that for the second kind."""
        asked.append(queries)
        cosines = np.linspace(0.0, 1.0 if queries is asked[0] else 0.5, len(queries))
        item = indexes[TEXT_INDEX].vectors[0].astype(np.float64)
        other = np.linalg.svd(indexes[TEXT_INDEX].vectors[:1].astype(np.float64))[2][-1][:TEXT_DIM]
        away = other - item * (other @ item)
        vectors = cosines[:, None] * item + np.sqrt(1 - cosines**2)[:, None] * away / np.linalg.norm(away)
        found: NDArray[np.float32] = vectors.astype(np.float32)
        return found

    floor = meaning_floor(indexes, encode)

    nearest = [np.sort((encode(kind) @ indexes[TEXT_INDEX].vectors.T.astype(np.float32)).max(1)) for kind in asked[:2]]
    assert [len(kind) for kind in asked[:2]] == [STRANGERS] * 2
    assert max(float((kind >= floor).mean()) for kind in nearest) <= 0.0501
    assert max(float((kind >= floor - 0.01).mean()) for kind in nearest) > 0.05
    assert not {word for kind in asked for word in kind} & {*KINDS, "shoe"}  # nothing that the shop sells


def test_an_item_is_unrelated_that_has_no_word_and_is_not_near() -> None:
    columns = [CHANNEL_COLUMN["lexical"], CHANNEL_COLUMN["semantic"]]
    scores, mask = np.zeros((5, len(CHANNELS)), np.float32), np.zeros((5, len(CHANNELS)), np.float32)
    scores[:, columns] = [(0.0, 0.2), (0.0, 0.6), (3.0, 0.2), (3.0, 0.6), (0.0, 0.0)]
    mask[:, columns] = 1.0
    mask[4, CHANNEL_COLUMN["semantic"]] = 0.0  # the encoder failed: nothing is known

    assert unrelated(scores, mask, 0.5).tolist() == [True, False, False, False, False]
