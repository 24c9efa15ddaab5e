"""Text heads learn what can be learned, say how sure they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from shopfuse.evaluation.offline.text_head_rows import majority, nearest, tf_idf
from shopfuse.metrics.calibration import expected_calibration_error
from shopfuse.metrics.classification import label_quality
from shopfuse.ranking.labels import Labels
from shopfuse.ranking.text_heads import CATEGORY_HEAD
from shopfuse.training.checkpoints.head_files import TrainedHead
from shopfuse.training.examples.labelled_texts import (
    TEST,
    TRAIN,
    VALIDATION,
    LabelExamples,
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


def test_terms_come_from_known_texts_alone() -> None:
    vectors = tf_idf(["oak lamp", "oak table", "steel vase"], np.array([0, 1]))

    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0, 1.0, 0.0])
    assert vectors[0] @ vectors[1] > 0
