"""Rows that are counted, their settings chosen on validation."""

from __future__ import annotations

from shopfuse.training.sequences.counted_rows import count_rows
from shopfuse.training.sequences.measures import ndcg10
from shopfuse.training.sequences.scoring import ranks
from tests.training.sequences.histories import walking_shop


def test_counted_settings_are_those_that_do_best_on_validation() -> None:
    shop = walking_shop(items=100)

    counted = count_rows(shop)

    rows = {name: ndcg10(ranks(scores, shop.validation)) for name, scores in counted.rows().items()}
    assert rows["item_knn_transitions"] > rows["item_knn"] > rows["popularity"]
