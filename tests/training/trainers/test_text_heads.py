"""Text heads learn what can be learned, say how sure they are, and leave out what would fool the test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from shopfuse.core.errors import ShopfuseError
from shopfuse.datasets.schema import ITEM_SCHEMA, REVIEW_SCHEMA
from shopfuse.evaluation.offline.label_baselines import majority, nearest, tf_idf
from shopfuse.metrics.calibration import expected_calibration_error
from shopfuse.metrics.classification import label_quality
from shopfuse.ranking.labels import SENTIMENT_LABELS, Labels
from shopfuse.ranking.text_heads import CATEGORY_HEAD, SENTIMENT_HEAD
from shopfuse.training.checkpoints.head_files import TrainedHead, load_heads, save_heads
from shopfuse.training.examples import labelled_texts
from shopfuse.training.examples.labelled_texts import (
    MIN_OF_LABEL,
    TEST,
    TRAIN,
    VALIDATION,
    LabelExamples,
    category_examples,
    sentiment_examples,
)
from shopfuse.training.trainers.text_head import (
    Floats,
    TextHeadTraining,
    class_weights,
    probabilities_of,
    train_text_head,
)

PATHS = (("Home", "Lamps"), ("Home", "Sofas"), ("Sport", "Tents"))
QUICK = TextHeadTraining(candidates=((0, 0.0), (0, 1.0)), epochs=8, learning_rate=0.02)
DIMS = 12


def items(rows: list[tuple[str, list[str] | None]]) -> pl.DataFrame:
    filled = [
        {"item_id": f"i{at}", "title": title, "description": "Very good.", "category": category}
        for at, (title, category) in enumerate(rows)
    ]
    return pl.DataFrame(filled, ITEM_SCHEMA)


def of(path: list[str], count: int, word: str) -> list[tuple[str, list[str] | None]]:
    return [(f"{word} {number}", path) for number in range(count)]


def drawn(noise: float, count: int = 600, seed: int = 0) -> tuple[LabelExamples, Floats]:
    """Unit vectors round one centre for each label; the more noise, the less can be told."""
    rng = np.random.default_rng(seed)
    label = rng.choice(3, count, p=(0.6, 0.3, 0.1)).astype(np.int64)
    raw = np.eye(3, DIMS)[label] + noise * rng.standard_normal((count, DIMS))
    part = np.where(rng.random(count) < 0.5, TRAIN, np.where(rng.random(count) < 0.5, VALIDATION, TEST))
    vectors = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
    texts = [f"text {row}" for row in range(count)]
    return LabelExamples(Labels(PATHS), texts, label, part.astype(np.int8), {}), vectors


@pytest.fixture(scope="module")
def noisy() -> tuple[LabelExamples, Floats, TrainedHead]:
    examples, vectors = drawn(0.45, 1500)
    return examples, vectors, train_text_head(CATEGORY_HEAD, examples, vectors, seed=0, training=QUICK)


def test_clear_labels_are_learned_and_random_ones_are_not() -> None:
    examples, vectors = drawn(0.1, 300)
    clear = train_text_head(CATEGORY_HEAD, examples, vectors, seed=0, training=QUICK)
    shuffled = replace(examples, label=np.random.default_rng(1).permutation(examples.label))
    random = train_text_head(CATEGORY_HEAD, shuffled, vectors, seed=0, training=QUICK)

    assert clear.metrics["test"]["accuracy"]["value"] > 0.97
    assert random.metrics["test"]["macro_f1"]["value"] < 0.5


def test_the_same_seed_gives_the_same_head() -> None:
    examples, vectors = drawn(0.3)
    first, second = (train_text_head("h", examples, vectors, seed=3, training=QUICK).module for _ in range(2))

    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), second.parameters(), strict=True))


def test_probabilities_mean_what_they_say(noisy: tuple[LabelExamples, Floats, TrainedHead]) -> None:
    examples, vectors, head = noisy
    rows = examples.rows(TEST)
    probabilities = probabilities_of(head.module, vectors[rows])
    hit = probabilities.argmax(1) == examples.label[rows]
    sharp = probabilities**4 / (probabilities**4).sum(1, keepdims=True)

    assert probabilities.sum(1) == pytest.approx(1.0, abs=1e-5)
    assert expected_calibration_error(probabilities.max(1), hit) < 0.08
    assert expected_calibration_error(sharp.max(1), hit) > expected_calibration_error(probabilities.max(1), hit)


def test_the_head_beats_the_majority(noisy: tuple[LabelExamples, Floats, TrainedHead]) -> None:
    examples, vectors, head = noisy
    rows = examples.rows(TEST)
    truth, labels = examples.label[rows], head.labels

    own = label_quality(labels, probabilities_of(head.module, vectors[rows]), truth)
    frequent = label_quality(labels, majority(examples, rows), truth)
    near = label_quality(labels, nearest(examples, vectors, rows), truth)
    assert own.macro_f1.low > frequent.macro_f1.high
    assert own.accuracy.value >= near.accuracy.value - 0.03
    assert own.accuracy.low <= own.accuracy.value <= own.accuracy.high
    assert own.level_accuracy[0] >= own.level_accuracy[1]


def test_balance_gives_rare_labels_more_weight() -> None:
    label = np.array([0] * 90 + [1] * 10)

    assert class_weights(label, 2, 0.0).tolist() == [1.0, 1.0]
    rare = class_weights(label, 2, 1.0)
    assert rare[1] / rare[0] == pytest.approx(9.0)
    assert float(rare[label].mean()) == pytest.approx(1.0)


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


def test_terms_come_from_known_texts_alone() -> None:
    vectors = tf_idf(["oak lamp", "oak table", "steel vase"], np.array([0, 1]))

    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0, 1.0, 0.0])
    assert vectors[0] @ vectors[1] > 0


def test_heads_are_read_as_they_were_written(noisy: tuple[LabelExamples, Floats, TrainedHead], tmp_path: Path) -> None:
    _, vectors, head = noisy
    deep = replace(QUICK, candidates=((8, 0.5),), epochs=2)
    examples, own = drawn(0.3)
    sentiment = train_text_head(SENTIMENT_HEAD, examples, own, seed=0, training=deep)
    save_heads(tmp_path, {CATEGORY_HEAD: head, SENTIMENT_HEAD: sentiment}, "abc")

    again = load_heads(tmp_path, "abc")

    assert again[CATEGORY_HEAD].labels == head.labels
    for name, expected in ((CATEGORY_HEAD, head), (SENTIMENT_HEAD, sentiment)):
        actual = probabilities_of(again[name].module, vectors[:20])
        assert np.array_equal(actual, probabilities_of(expected.module, vectors[:20]))


def test_heads_of_another_encoder_or_damaged_ones_are_refused(
    noisy: tuple[LabelExamples, Floats, TrainedHead], tmp_path: Path
) -> None:
    save_heads(tmp_path, {CATEGORY_HEAD: noisy[2]}, "abc")

    with pytest.raises(ShopfuseError, match="trained on text encoder abc, the shop's is def"):
        load_heads(tmp_path, "def")
    (tmp_path / CATEGORY_HEAD / "model.safetensors").write_bytes(b"x")
    with pytest.raises(ShopfuseError, match="not a checkpoint of category_head"):
        load_heads(tmp_path, "abc")
    save_heads(tmp_path, {}, "abc")
    assert load_heads(tmp_path, "abc") == {}
