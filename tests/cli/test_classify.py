"""`shopfuse classify` prints one row for each label, and says where nothing is sure enough."""

from __future__ import annotations

from shopfuse.cli.classify import rows_of
from shopfuse.v1.text_pb2 import LabelProbability, TextCategory, TextClassification, TextSentiment

HALF = LabelProbability(label="Home > Sofas", probability=0.5)


def test_rows_show_the_text_once_and_every_label() -> None:
    result = TextClassification(
        category=TextCategory(category="Home", probability=0.9, labels=[HALF, LabelProbability(label="Home > Lamps")]),
        sentiment=TextSentiment(sentiment="positive", score=0.25, labels=[LabelProbability(label="positive")]),
    )

    rows = rows_of("red", result)

    assert [row[0] for row in rows] == ["red", "", ""]
    assert rows[0][1:] == ["category", "Home", "Home > Sofas", 0.5]
    assert rows[2][1:3] == ["sentiment", "positive (+0.25)"]


def test_without_a_probable_category_the_row_says_so() -> None:
    assert rows_of("red", TextClassification(category=TextCategory(labels=[HALF])))[0][2] == "(none is probable enough)"
