"""How well a text head tells labels that were held out from its training, beside what it must beat: the most frequent
label, neighbours among the embeddings, words without an encoder.

The release's own ONNX models answer for the split of their own training; a head trained here answers for its seed's.
Each baseline learns from the training part and gives probabilities; what it chooses, it chooses on validation.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress
from shopfuse.inference.release_models import ReleaseModels
from shopfuse.metrics.classification import LabelQuality, label_quality, macro_f1
from shopfuse.ranking.labels import Labels, Probabilities, parse_labels
from shopfuse.ranking.text_heads import OUTPUTS
from shopfuse.training.examples.labelled_texts import TEST, TRAIN, VALIDATION, LabelExamples
from shopfuse.training.trainers.text_head import LINEAR, Floats, TextHeadTraining, probabilities_of, train_text_head

NEIGHBOURS = (1, 5, 15)  # candidates
MOST_TERMS = 4_000  # of the words and pairs of words, the most widespread
_WORD = re.compile(r"\w+")
# Labelled texts and their vectors [n, D] in; the labels and the probabilities of the held-out texts [test, labels] out.
HeadAnswer = Callable[[LabelExamples, Floats], tuple[Labels, Probabilities]]


def released_answer(release: ReleaseModels, name: str) -> HeadAnswer:
    """By the release's own model of the head."""
    model, file = release.open(name), release.layout.labels
    labels = parse_labels(file.read_text(encoding="utf-8"), str(file))[name]

    def answer(examples: LabelExamples, vectors: Floats) -> tuple[Labels, Probabilities]:
        """Raises ShopfuseError where the examples' labels are not the release's."""
        if labels.paths != examples.labels.paths:
            raise ShopfuseError(f"{name}: the catalogue's labels are no longer those of the release; build it again")
        held_out, step = vectors[examples.rows(TEST)], model.declaration.max_batch
        parts = [
            model.run({"text_embedding": held_out[start : start + step]})[OUTPUTS[name]]
            for start in range(0, len(held_out), step)
        ]
        return labels, np.concatenate(parts).astype(np.float32)

    return answer


def trained_answer(name: str, seed: int, progress: Progress) -> HeadAnswer:
    """By a head that is trained for the split of this seed."""

    def answer(examples: LabelExamples, vectors: Floats) -> tuple[Labels, Probabilities]:
        head = train_text_head(name, examples, vectors, seed=seed, progress=progress)
        return head.labels, probabilities_of(head.module, vectors[examples.rows(TEST)])

    return answer


def head_rows(examples: LabelExamples, vectors: Floats, answer: HeadAnswer, seed: int) -> dict[str, LabelQuality]:
    """The head and its baselines on the same held-out texts."""
    rows = examples.rows(TEST)
    labels, head = answer(examples, vectors)
    probabilities = {
        "head": head,
        "majority": majority(examples, rows),
        "neighbours": nearest(examples, vectors, rows),
        "words": words(examples, rows, seed),
    }
    truth = examples.label[rows]
    return {name: label_quality(labels, part, truth, seed) for name, part in probabilities.items()}


def majority(examples: LabelExamples, rows: NDArray[np.int64]) -> Probabilities:
    """The labels' frequencies in training, for every text."""
    counts = np.bincount(examples.label[examples.rows(TRAIN)], minlength=len(examples.labels))
    return np.tile((counts / counts.sum()).astype(np.float32), (len(rows), 1))


def nearest(examples: LabelExamples, vectors: Floats, rows: NDArray[np.int64]) -> Probabilities:
    """The share of each label among the nearest training texts, weighted by their cosines."""
    held = examples.rows(VALIDATION)
    truth, labels = examples.label[held], len(examples.labels)
    scores = [macro_f1(_voted(examples, vectors, held, count).argmax(1), truth, labels) for count in NEIGHBOURS]
    return _voted(examples, vectors, rows, NEIGHBOURS[int(np.argmax(scores))])


def _voted(examples: LabelExamples, vectors: Floats, rows: NDArray[np.int64], count: int) -> Probabilities:
    known = examples.rows(TRAIN)
    cosines = vectors[rows] @ vectors[known].T  # [rows, known]
    near = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    weight = np.clip(np.take_along_axis(cosines, near, axis=1), 1e-6, None)
    votes = np.zeros((len(rows), len(examples.labels)), np.float32)
    np.add.at(votes, (np.arange(len(rows))[:, None], examples.label[known][near]), weight)
    shares: Probabilities = votes / votes.sum(1, keepdims=True)
    return shares


def words(examples: LabelExamples, rows: NDArray[np.int64], seed: int) -> Probabilities:
    """TF-IDF of words and pairs of words with logistic regression, trained and calibrated as the heads are."""
    vectors = tf_idf(examples.texts, examples.rows(TRAIN))
    head = train_text_head("words", examples, vectors, seed=seed, training=TextHeadTraining(candidates=LINEAR))
    return probabilities_of(head.module, vectors[rows])


def tf_idf(texts: Sequence[str], known: NDArray[np.int64]) -> Floats:
    """[n, terms], rows of length 1; terms and their weights come from the `known` texts alone."""
    terms = [_terms(text) for text in texts]
    spread = Counter(term for row in known.tolist() for term in set(terms[row]))
    chosen = [term for term, count in sorted(spread.items(), key=lambda one: (-one[1], one[0]))[:MOST_TERMS]]
    place = {term: column for column, term in enumerate(chosen)}
    idf = np.log((1 + len(known)) / (1 + np.array([spread[term] for term in chosen]))) + 1
    counts = np.zeros((len(texts), len(chosen)), np.float32)
    for row, of_text in enumerate(terms):
        for term, count in Counter(of_text).items():
            if (column := place.get(term)) is not None:
                counts[row, column] = 1 + np.log(count)
    weighted = counts * idf.astype(np.float32)
    vectors: Floats = weighted / np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-9)
    return vectors


def _terms(text: str) -> list[str]:
    single = _WORD.findall(text.lower())
    return single + [f"{one} {two}" for one, two in pairwise(single)]
