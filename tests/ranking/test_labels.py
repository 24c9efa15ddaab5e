"""Labels of text heads: parents are sums of what lies below, unsure answers stop early, files are checked."""

from __future__ import annotations

import numpy as np
import pytest

from shopfuse.ranking.labels import Labels, LabelsError, labels_json, parse_labels
from shopfuse.ranking.text_heads import CATEGORY_HEAD, text_heads

PATHS = (("Home", "Lamps"), ("Home", "Sofas"), ("Home",), ("Sport", "Tents"))
ROWS = np.array([[0.4, 0.3, 0.1, 0.2], [0.1, 0.05, 0.05, 0.8], [0.2, 0.2, 0.09, 0.51]], np.float32)


def test_a_parent_holds_the_sum_of_its_labels() -> None:
    labels = Labels(PATHS)
    nodes = dict(zip(labels.nodes, labels.node_probabilities(ROWS)[0].tolist(), strict=True))

    assert nodes[("Home",)] == pytest.approx(0.8)
    assert nodes[("Home", "Lamps")] == pytest.approx(0.4)
    assert nodes[("Sport",)] == pytest.approx(nodes[("Sport", "Tents")])
    assert labels.node_probabilities(ROWS)[:, :2].sum(1) == pytest.approx(1.0)


def test_without_a_threshold_the_most_probable_label_is_the_answer() -> None:
    assert [path for path, _ in Labels(PATHS).answers(ROWS)] == [
        ("Home", "Lamps"),
        ("Sport", "Tents"),
        ("Sport", "Tents"),
    ]


def test_an_answer_stops_at_the_deepest_level_that_is_probable_enough() -> None:
    labels = Labels(PATHS, least_probability=0.6)

    answers = labels.answers(ROWS)

    assert [path for path, _ in answers] == [("Home",), ("Sport", "Tents"), ()]
    assert [probability for _, probability in answers] == pytest.approx([0.8, 0.8, 0.0])


def test_the_file_gives_back_what_was_written() -> None:
    heads = {CATEGORY_HEAD: Labels((("Möbel", "Stühle"), ("Möbel",)), 0.5)}

    assert parse_labels(labels_json(heads), "labels.json") == heads


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[", "not a file of labels"),
        ("[]", "not a file of labels"),
        ('{"format": 9, "heads": {}}', "format 9, expected 1"),
        ('{"format": 1, "heads": {"mood": {"labels": [["a"]], "least_probability": 0}}}', r"unknown heads \['mood'\]"),
        ('{"format": 1, "heads": {"category_head": {"labels": [["a"], ["a"]], "least_probability": 0}}}', "different"),
        (
            '{"format": 1, "heads": {"category_head": {"labels": [["a"]], "least_probability": 0.3}}}',
            "0.5 to 1, got 0.3",
        ),
    ],
)
def test_a_damaged_file_is_refused_by_name(text: str, problem: str) -> None:
    with pytest.raises(LabelsError, match=problem):
        parse_labels(text, "labels.json")


def test_a_head_is_declared_as_wide_as_its_labels() -> None:
    declared = text_heads(384, {CATEGORY_HEAD: 7})

    assert list(declared) == [CATEGORY_HEAD]
    assert declared[CATEGORY_HEAD].outputs[0].dims == (7,)
