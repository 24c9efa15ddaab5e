"""What was chosen after searches, as the log has it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import shopfuse.training.data.snapshot as module
from shopfuse.recall.lexical import LexicalIndex, build_lexical
from shopfuse.recall.words.chosen_categories import NO_CHOICES
from shopfuse.recall.words.query_reading import NO_WORDS
from shopfuse.training.data.catalogue import catalogue_items
from shopfuse.training.data.snapshot import query_choices
from tests.training.conftest import Shop


@pytest.fixture(scope="module")
def lexical(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    folder: Path = tmp_path_factory.mktemp("choices") / "lexical"
    build_lexical(folder, catalogue_items(shop.catalogue.frame))
    return LexicalIndex.open(folder)


def test_a_choice_is_an_item_engaged_with_once_a_request(shop: Shop, lexical: LexicalIndex) -> None:
    events, requests = shop.log.events, shop.log.requests
    engaged = events.engaged
    chosen = set(zip(engaged.request.tolist(), engaged.row.tolist(), strict=True))
    expected = Counter((lexical.read(requests.query[code]).key, row) for code, row in chosen if code >= 0)

    keys, rows = query_choices(requests, events, lexical.read)

    assert Counter(zip(keys.tolist(), rows.tolist(), strict=True)) == expected
    assert len(set(keys.tolist()) - {NO_WORDS}) > 10 and len(engaged) > len(keys)


def test_later_choices_are_not_known(shop: Shop, lexical: LexicalIndex) -> None:
    middle = float(np.median(shop.log.events.at))
    early, _ = query_choices(shop.log.requests, shop.log.events.before(middle), lexical.read)
    every, _ = query_choices(shop.log.requests, shop.log.events, lexical.read)

    assert 0 < len(early) < len(every)
    assert query_choices(shop.log.requests, shop.log.events.before(0.0), lexical.read) is NO_CHOICES


def test_rare_queries_make_room_for_frequent_ones(
    shop: Shop, lexical: LexicalIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    every, _ = query_choices(shop.log.requests, shop.log.events, lexical.read)
    monkeypatch.setattr(module, "MAX_QUERIES", 5)
    few, _ = query_choices(shop.log.requests, shop.log.events, lexical.read)

    kept = set(few.tolist()) - {NO_WORDS}
    assert len(few) == len(every) and 0 < len(kept) <= 5
    assert kept <= {key for key, _ in Counter(every.tolist()).most_common(20)}
