"""Trains a text head: several shapes and balances, each with early stopping; validation chooses and calibrates.

The test part is read once, for the record. Rare labels count for more in the loss by a power of their rarity.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from shopfuse.core.progress import Progress, silent
from shopfuse.metrics.classification import hierarchical_f1, label_quality, macro_f1
from shopfuse.ranking.labels import Labels, Probabilities
from shopfuse.training.checkpoints.head_files import TrainedHead
from shopfuse.training.distributed.devices import device_of
from shopfuse.training.examples.labelled_texts import TEST, TRAIN, VALIDATION, LabelExamples
from shopfuse.training.models.text_head import TextHead
from shopfuse.training.trainers.loop import Schedule, fit

Floats = NDArray[np.float32]
STOPS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)  # candidates of Labels.least_probability
LINEAR = ((0, 0.0), (0, 0.5), (0, 1.0))
TEMPERATURES = np.exp(np.linspace(np.log(0.1), np.log(10.0), 121))


@dataclass(frozen=True, slots=True)
class TextHeadTraining:
    """Candidates are pairs: numbers in the hidden layer (0: logistic regression), and the balance of the labels, whose
    weights in the loss go as (1 / frequency) ** balance."""

    candidates: tuple[tuple[int, float], ...] = (*LINEAR, (128, 0.5))
    epochs: int = 25
    batch: int = 128
    learning_rate: float = 0.005
    weight_decay: float = 0.05
    patience: int = 4


def train_text_head(
    name: str,
    examples: LabelExamples,
    vectors: Floats,
    *,
    seed: int,
    training: TextHeadTraining | None = None,
    progress: Progress = silent,
) -> TrainedHead:
    """The head `name` for texts whose embeddings are `vectors` [n, D]."""
    training, started = training or TextHeadTraining(), time.perf_counter()
    tried = [
        (hidden, balance, _train(name, examples, vectors, hidden, balance, training, seed, progress))
        for hidden, balance in training.candidates
    ]
    rows = examples.rows(VALIDATION)
    truth, held_out = examples.label[rows], vectors[rows]
    scores = [macro_f1(_logits(head, held_out).argmax(1), truth, len(examples.labels)) for *_, head in tried]
    hidden, balance, head = tried[int(np.argmax(scores))]
    temperature = calibrate(head, held_out, truth)
    labels = choose_stop(examples.labels, probabilities_of(head, held_out), truth)
    test = examples.rows(TEST)
    quality = label_quality(labels, probabilities_of(head, vectors[test]), examples.label[test], seed)
    metrics = {
        "test": quality.as_dict(),
        "examples": {"train": len(examples.rows(TRAIN)), "validation": len(rows), "test": len(test)},
        "by_label": examples.counts,
        "left_out": examples.left_out,
        "validation_macro_f1": {f"hidden {h}, balance {b}": s for (h, b, _), s in zip(tried, scores, strict=True)},
        "chosen": {"hidden": hidden, "balance": balance},
        "temperature": temperature,
        "least_probability": labels.least_probability,
        "training": asdict(training),
        "seed": seed,
        "seconds": round(time.perf_counter() - started, 2),
    }
    return TrainedHead(head, labels, metrics)


def _train(
    name: str,
    examples: LabelExamples,
    vectors: Floats,
    hidden: int,
    balance: float,
    training: TextHeadTraining,
    seed: int,
    progress: Progress,
) -> TextHead:
    torch.manual_seed(seed)
    rows, held = examples.rows(TRAIN), examples.rows(VALIDATION)
    head = TextHead(vectors.shape[1], len(examples.labels), hidden)
    weights = class_weights(examples.label[rows], len(examples.labels), balance)
    order = np.random.default_rng(seed)

    def batches(_: int) -> Iterator[NDArray[np.int64]]:
        mixed = order.permutation(rows)
        for start in range(0, len(mixed), training.batch):
            yield mixed[start : start + training.batch]

    def loss(chosen: NDArray[np.int64]) -> Tensor:
        arrays = (vectors[chosen], examples.label[chosen], weights)
        x, y, balanced = (torch.from_numpy(array).to(device_of(head)) for array in arrays)
        return cross_entropy(head.logits(x), y, balanced, label_smoothing=0.02)

    schedule = Schedule(
        f"train {name}",
        epochs=training.epochs,
        steps=-(-len(rows) // training.batch),
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        patience=training.patience,
    )
    fit({name: head}, schedule, batches, loss, lambda: float(loss(held)), progress=progress)
    return head


def class_weights(label: NDArray[np.int64], labels: int, balance: float) -> Floats:
    """[labels], mean 1 over the examples: 0 leaves the frequencies as they are, 1 makes all labels count the same."""
    counts = np.maximum(np.bincount(label, minlength=labels), 1)
    weights = (1.0 / counts) ** balance
    balanced: Floats = (weights / weights[label].mean()).astype(np.float32)
    return balanced


def calibrate(head: TextHead, vectors: Floats, truth: NDArray[np.int64]) -> float:
    """Sets and gives the temperature with the least log loss on held-out texts (Guo et al., 2017)."""
    logits, target = torch.from_numpy(_logits(head, vectors)), torch.from_numpy(truth)
    losses = [float(cross_entropy(logits / float(candidate), target)) for candidate in TEMPERATURES]
    best = float(TEMPERATURES[int(np.argmin(losses))])
    head.temperature.fill_(best)
    return best


def choose_stop(labels: Labels, probabilities: Probabilities, truth: NDArray[np.int64]) -> Labels:
    """The labels with the `least_probability` of the best hierarchical F1 on held-out texts; 0 where none beats it."""
    if max(map(len, labels.paths)) == 1:
        return labels
    true = [labels.paths[label] for label in truth]
    candidates = [replace(labels, least_probability=stop) for stop in STOPS]
    scores = [hierarchical_f1([path for path, _ in one.answers(probabilities)], true) for one in candidates]
    return candidates[int(np.argmax(scores))]


def probabilities_of(head: TextHead, vectors: Floats) -> Probabilities:
    """[n, labels]."""
    with torch.no_grad():
        probabilities: Probabilities = head.eval()(torch.from_numpy(vectors).to(device_of(head))).cpu().numpy()
    return probabilities


def _logits(head: TextHead, vectors: Floats) -> Floats:
    with torch.no_grad():
        logits: Floats = head.eval().logits(torch.from_numpy(vectors).to(device_of(head))).cpu().numpy()
    return logits
