"""Examples of labels: what is read of an item, and what is left out because it would fool the test."""

from __future__ import annotations

import polars as pl
import pytest

from shopfuse.datasets.schema import ITEM_SCHEMA, REVIEW_SCHEMA
from shopfuse.ranking.labels import SENTIMENT_LABELS
from shopfuse.training.examples import labelled_texts
from shopfuse.training.examples.labelled_texts import (
    MIN_OF_LABEL,
    TEST,
    TRAIN,
    VALIDATION,
    category_examples,
    sentiment_examples,
)


def items(rows: list[tuple[str, list[str] | None]]) -> pl.DataFrame:
    filled = [
        {"item_id": f"i{at}", "title": title, "description": "Very good.", "category": category}
        for at, (title, category) in enumerate(rows)
    ]
    return pl.DataFrame(filled, ITEM_SCHEMA)


def of(path: list[str], count: int, word: str) -> list[tuple[str, list[str] | None]]:
    return [(f"{word} {number}", path) for number in range(count)]


def test_an_item_s_category_is_not_in_its_text() -> None:
    rows = of(["Home", "Lamps"], 40, "oak") + of(["Sport", "Tents"], 40, "dome")
    examples = category_examples(items(rows), seed=0)

    assert examples is not None
    assert examples.labels.paths == (("Home", "Lamps"), ("Sport", "Tents"))
    assert not any("Lamps" in text or "Tents" in text for text in examples.texts)
    assert {"Very good" in text for text in examples.texts} == {True, False}  # with and without description
    for label in (0, 1):
        assert {int(part) for part in examples.part[examples.label == label]} == {TRAIN, VALIDATION, TEST}


def test_rare_categories_join_their_parents() -> None:
    rows = of(["Home", "Lamps"], 40, "lamp") + of(["Home", "Vases"], 3, "vase") + of(["Home", "Rugs"], 6, "rug")
    rows += of(["Sport"], 40, "ball") + of(["Toys"], MIN_OF_LABEL - 1, "doll")

    examples = category_examples(items(rows), seed=0)

    assert examples is not None
    assert examples.counts == {"Home": 9, "Home > Lamps": 40, "Sport": 40}
    assert examples.left_out == {"category with too few items": MIN_OF_LABEL - 1}


def test_copies_contradictions_and_labels_that_are_no_words_are_left_out() -> None:
    rows = of(["Home"], 40, "lamp") + of(["Sport"], 40, "ball")
    rows += [("LAMP 1", ["Home"]), ("ball 1", ["Home"]), ("cable", ["1"]), ("mouse", None)]

    examples = category_examples(items(rows), seed=0)

    assert examples is not None
    assert examples.counts == {"Home": 40, "Sport": 39}
    assert examples.left_out == {
        "category without a letter": 1,
        "no category": 1,
        "same text again": 1,
        "same text, different labels": 2,
    }


def test_frequent_labels_give_way_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelled_texts, "MOST_EXAMPLES", 70)
    rows = of(["Home"], 200, "lamp") + of(["Sport"], 90, "ball") + of(["Toys"], 10, "doll")

    examples = category_examples(items(rows), seed=0)

    assert examples is not None
    assert examples.counts == {"Home": 30, "Sport": 30, "Toys": 10}


@pytest.mark.parametrize("rows", [of(["Home"], 200, "lamp"), of(["Home"], 20, "a") + of(["Toys"], 20, "b"), []])
def test_a_shop_without_enough_categories_has_no_head(rows: list[tuple[str, list[str] | None]]) -> None:
    assert category_examples(items(rows), seed=0) is None


def reviews(stars: list[float]) -> pl.DataFrame:
    rows = [
        {"review_id": f"w{at}", "item_id": "i", "rating": rating, "text": f"said {at}"}
        for at, rating in enumerate(stars)
    ]
    return pl.DataFrame(rows, REVIEW_SCHEMA)


def test_stars_become_sentiments() -> None:
    examples = sentiment_examples(reviews([1, 2, 3, 4, 5, 2.5, 3.5, 2.4] * 10), seed=0)

    assert examples is not None
    assert examples.labels == SENTIMENT_LABELS
    assert examples.counts == {"negative": 30, "neutral": 20, "positive": 30}
    assert sentiment_examples(reviews([1, 5] * 60), seed=0) is None
    assert sentiment_examples(reviews([]), seed=0) is None
