"""What the text heads learn from: the shop's labelled texts, encoded as Triton will encode them.

Vectors are cached like the catalogue's, in a folder of their own: a rebuild encodes only what is new.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.ranking.text_heads import CATEGORY_HEAD, SENTIMENT_HEAD
from shopfuse.training.examples.labelled_texts import LabelExamples, category_examples, sentiment_examples
from shopfuse_exporters.encoding.run import TextEncoder, encode_texts
from shopfuse_exporters.encoding.vector_cache import VectorCache

CACHE = "labelled_texts"  # beside the catalogue's vectors
ITEM_COLUMNS, REVIEW_COLUMNS = ("title", "brand", "category", "description"), ("text", "rating")
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class HeadExamples:
    """What a head learns from; `vectors` [n, D] as an index would store them."""

    examples: LabelExamples
    vectors: Floats


def head_examples(
    workspace: Workspace, encoder: TextEncoder, cache: VectorCache, seed: int, progress: Progress
) -> dict[str, HeadExamples]:
    """By head, for those that the shop has data for. `cache` is the catalogue's; another one beside it is used."""
    by_head = {
        CATEGORY_HEAD: category_examples(workspace.items().select(ITEM_COLUMNS).collect(), seed),
        SENTIMENT_HEAD: sentiment_examples(workspace.reviews().select(REVIEW_COLUMNS).collect(), seed),
    }
    available = {name: examples for name, examples in by_head.items() if examples is not None}
    texts = [text for examples in available.values() for text in examples.texts]
    if not texts:
        return {}
    beside = VectorCache(cache.folder.parents[1] / CACHE / cache.folder.name, cache.dims)
    vectors, _ = encode_texts(texts, encoder, beside, progress)
    read: dict[str, HeadExamples] = {}
    start = 0
    for name, examples in available.items():
        end = start + len(examples.texts)
        read[name] = HeadExamples(examples, np.array(vectors[start:end], np.float32))
        start = end
    return read
