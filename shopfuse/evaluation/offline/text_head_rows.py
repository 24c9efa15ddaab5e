"""How well a text head tells labels that were held out from its training, beside what it must beat.

The release's own ONNX models answer for the split of their own training; a head trained here answers for its seed's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from shopfuse.core.errors import ShopfuseError
from shopfuse.core.progress import Progress
from shopfuse.evaluation.offline.label_baselines import majority, nearest, words
from shopfuse.inference.release_models import ReleaseModels
from shopfuse.metrics.classification import LabelQuality, label_quality
from shopfuse.ranking.labels import Labels, Probabilities, parse_labels
from shopfuse.ranking.text_heads import OUTPUTS
from shopfuse.training.examples.labelled_texts import TEST, LabelExamples
from shopfuse.training.trainers.text_head import Floats, probabilities_of, train_text_head

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
