"""Judgments from a file: grouped into topics, refused by row; rankings scored by topics that have an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopfuse.evaluation.judgments import JudgmentsError, load_topics, score_rankings


def write(folder: Path, *lines: str) -> Path:
    path = folder / "judgments.csv"
    path.write_text("\n".join(["query,item_id,grade", *lines]))
    return path


def test_rows_of_a_query_are_one_topic_in_the_order_of_the_file(tmp_path: Path) -> None:
    topics = load_topics(write(tmp_path, "sofa,1,2", "lamp,2,0", "sofa,03,1"), "query")

    assert [(topic.query, topic.grades) for topic in topics] == [("sofa", {"1": 2.0, "03": 1.0}), ("lamp", {"2": 0.0})]
    assert [topic.answerable for topic in topics] == [True, False]


@pytest.mark.parametrize("line", ["sofa,1,11", "sofa,1,-1", "sofa,1,good", "sofa,,1"])
def test_an_impossible_row_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(JudgmentsError, match="row 3: expected an item_id and a grade of 0 to 10"):
        load_topics(write(tmp_path, "sofa,1,1", line), "query")


def test_a_file_without_the_key_or_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JudgmentsError, match="no column 'user_id'"):
        load_topics(write(tmp_path, "sofa,1,1"), "user_id")
    with pytest.raises(JudgmentsError, match="no rows"):
        load_topics(write(tmp_path), "query")


def test_a_topic_without_a_relevant_item_says_nothing_about_a_ranking(tmp_path: Path) -> None:
    topics = load_topics(write(tmp_path, "sofa,1,2", "lamp,2,0", "rug,3,1"), "query")

    row = score_rankings(topics, [["1", "9"], ["2"], ["9", "3"]]).row()

    assert row["queries"] == 2
    assert row["mrr"] == pytest.approx((1 + 1 / 2) / 2)
    assert row["recall@100"] == 1.0
    assert row["ndcg@10_condensed"] == 1.0 > row["ndcg@10"]
    assert row["ndcg@10_low"] <= row["ndcg@10"] <= row["ndcg@10_high"]
