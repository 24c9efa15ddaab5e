"""The labels that the text heads tell apart: their file in a release, and from probabilities to an answer.

A label is a path: category levels from the root, or one word for a sentiment. Heads give probabilities of whole labels
only; a parent's is the sum of what lies below it, so that levels never contradict each other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.text import normalise_text
from shopfuse.ranking.text_heads import HEADS

FORMAT = 1
MAX_TEXT = 4096  # code points of a text to classify
SENTIMENTS = ("negative", "neutral", "positive")

LabelPath = tuple[str, ...]
Probabilities = NDArray[np.float32]


class LabelsError(ShopfuseError):
    """Not a file of labels, or labels that a head cannot have."""


def classified_text(text: str) -> str:
    """A text as the heads are trained on it and asked about it: one line, NFKC, at most MAX_TEXT code points."""
    return normalise_text(text, MAX_TEXT)


@dataclass(frozen=True, slots=True)
class Labels:
    """What a head's outputs mean, in their order.

    `least_probability`: an answer stops above the first level whose most probable label holds less. It is 0, so that
    the answer is always the most probable label, or at least one half, so that no level has two candidates.
    """

    paths: tuple[LabelPath, ...]
    least_probability: float = 0.0
    nodes: tuple[LabelPath, ...] = field(init=False)  # every label and every ancestor, shallow ones first
    _below: NDArray[np.float32] = field(init=False, repr=False, compare=False)  # [labels, nodes]

    def __post_init__(self) -> None:
        if len(set(self.paths)) != len(self.paths) or not all(path and all(path) for path in self.paths):
            raise LabelsError(f"labels: expected different paths of names, got {list(self.paths)[:5]}")
        if self.least_probability and not 0.5 <= self.least_probability <= 1:
            raise LabelsError(f"labels: least_probability: expected 0, or 0.5 to 1, got {self.least_probability}")
        ancestors = {path[:depth] for path in self.paths for depth in range(1, len(path) + 1)}
        nodes = tuple(sorted(ancestors, key=lambda path: (len(path), path)))
        below = [[path[: len(node)] == node for node in nodes] for path in self.paths]
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "_below", np.array(below, np.float32).reshape(len(self.paths), len(nodes)))

    def __len__(self) -> int:
        return len(self.paths)

    def node_probabilities(self, probabilities: Probabilities) -> Probabilities:
        """[n, labels] -> [n, nodes]: each node has the sum of its labels."""
        sums: Probabilities = probabilities @ self._below
        return sums

    def answers(self, probabilities: Probabilities) -> list[tuple[LabelPath, float]]:
        """For each row the deepest path that is probable enough, and its probability; ((), 0.0) where none is."""
        if not self.least_probability:
            best = probabilities.argmax(1)
            return [(self.paths[label], float(row[label])) for label, row in zip(best, probabilities, strict=True)]
        return [self._deepest(row) for row in self.node_probabilities(probabilities)]

    def _deepest(self, row: Probabilities) -> tuple[LabelPath, float]:
        enough = np.flatnonzero(row >= self.least_probability)
        if not len(enough):
            return (), 0.0
        # Nodes are sorted by depth; two of one depth can only be there with exactly one half each.
        deepest = [node for node in enough if len(self.nodes[node]) == len(self.nodes[enough[-1]])]
        node = max(deepest, key=lambda place: float(row[place]))
        return self.nodes[node], float(row[node])


SENTIMENT_LABELS = Labels(tuple((name,) for name in SENTIMENTS))


def labels_json(heads: Mapping[str, Labels]) -> str:
    """The labels of a release's heads as the text of its labels file."""
    described = {
        name: {"labels": [list(path) for path in labels.paths], "least_probability": labels.least_probability}
        for name, labels in heads.items()
    }
    return json.dumps({"format": FORMAT, "heads": described}, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def parse_labels(text: str, source: str) -> dict[str, Labels]:
    """By head. Raises LabelsError naming `source` where the text is no labels file or names an unknown head."""
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise LabelsError(f"{source}: labels of format {document['format']}, expected {FORMAT}")
        heads = {
            str(name): Labels(tuple(tuple(map(str, path)) for path in head["labels"]), float(head["least_probability"]))
            for name, head in document["heads"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabelsError(f"{source}: not a file of labels ({error!r})") from error
    if unknown := heads.keys() - set(HEADS):
        raise LabelsError(f"{source}: labels of unknown heads {sorted(unknown)}")
    return heads
