"""Quality of a classification: accuracy by level, macro-F1, calibration, and what stopping above a leaf costs.

Intervals are percentile bootstrap over the texts. Measures only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.metrics.bootstrap import bootstrap_draws
from shopfuse.metrics.calibration import expected_calibration_error
from shopfuse.ranking.labels import LabelPath, Labels, Probabilities

ROUNDS = 500
LEVEL = 0.95
Truth = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WithInterval:
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LabelQuality:
    """Of one classifier on one set of texts."""

    texts: int
    accuracy: WithInterval
    macro_f1: WithInterval
    ece: WithInterval  # of the most probable label
    level_accuracy: tuple[float, ...]  # the true ancestor of each level held the most probability
    answered: float  # share of the texts with an answer
    answers_right: float  # share of the answers that are the true label or one of its ancestors
    hierarchical_f1: float  # of the answers' levels, see `hierarchical_f1`

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def label_quality(labels: Labels, probabilities: Probabilities, truth: Truth, seed: int = 0) -> LabelQuality:
    """`probabilities` [n, labels] against the labels' numbers [n]; n is not 0."""
    predicted = probabilities.argmax(1)
    surest = probabilities.max(1)
    hit = (predicted == truth).astype(np.float64)
    count = len(labels)
    measures: tuple[Callable[[NDArray[np.int64]], float], ...] = (
        lambda rows: float(hit[rows].mean()),
        lambda rows: macro_f1(predicted[rows], truth[rows], count),
        lambda rows: expected_calibration_error(surest[rows], hit[rows]),
    )
    draws = bootstrap_draws(len(truth), seed=seed, rounds=ROUNDS)
    accuracy, f1, ece = (_with_interval(measure, draws) for measure in measures)
    answers = [path for path, _ in labels.answers(probabilities)]
    true = [labels.paths[label] for label in truth]
    right = [answer == path[: len(answer)] for answer, path in zip(answers, true, strict=True) if answer]
    return LabelQuality(
        texts=len(truth),
        accuracy=accuracy,
        macro_f1=f1,
        ece=ece,
        level_accuracy=_level_accuracy(labels, probabilities, true),
        answered=len(right) / len(true),
        answers_right=float(np.mean(right)) if right else 0.0,
        hierarchical_f1=hierarchical_f1(answers, true),
    )


def _with_interval(measure: Callable[[NDArray[np.int64]], float], draws: NDArray[np.int64]) -> WithInterval:
    values = [measure(rows) for rows in draws]
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return WithInterval(measure(np.arange(draws.shape[1])), float(low), float(high))


def macro_f1(predicted: Truth, truth: Truth, labels: int) -> float:
    """The mean over the labels that occur in `truth` of 2 TP / (2 TP + FP + FN); all arrays [n]."""
    hits = np.bincount(truth[predicted == truth], minlength=labels)
    occur, predictions = np.bincount(truth, minlength=labels), np.bincount(predicted, minlength=labels)
    present = occur > 0
    return float((2 * hits[present] / (occur + predictions)[present]).mean())


def hierarchical_f1(answers: Sequence[LabelPath], truth: Sequence[LabelPath]) -> float:
    """F1 of the nodes on the paths, root to answer against root to truth (Kiritchenko et al., 2005; micro average)."""
    common = sum(_common(answer, path) for answer, path in zip(answers, truth, strict=True))
    return 2.0 * common / max(sum(map(len, answers)) + sum(map(len, truth)), 1)


def _common(left: LabelPath, right: LabelPath) -> int:
    """Levels from the root in which two paths agree."""
    agreed = [one == other for one, other in zip(left, right, strict=False)]
    return agreed.index(False) if False in agreed else len(agreed)


def _level_accuracy(labels: Labels, probabilities: Probabilities, truth: Sequence[LabelPath]) -> tuple[float, ...]:
    """Over the texts whose true path is that deep."""
    nodes = labels.node_probabilities(probabilities)
    shares = []
    for depth in range(1, max(map(len, truth)) + 1):
        places = [place for place, node in enumerate(labels.nodes) if len(node) == depth]
        rows = [row for row, path in enumerate(truth) if len(path) >= depth]
        best = nodes[np.ix_(rows, places)].argmax(1)
        shares.append(
            float(np.mean([labels.nodes[places[at]] == truth[row][:depth] for at, row in zip(best, rows, strict=True)]))
        )
    return tuple(shares)
