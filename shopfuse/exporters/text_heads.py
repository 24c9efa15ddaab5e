"""The text heads of a release: what they learn from is encoded as Triton will encode it, trained or read, and named.

Vectors are cached like the catalogue's, in a folder of their own: a rebuild encodes only what is new. Exporting and
verifying them is build's task, as for every model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.exporters.catalogue_encoding import encode_texts
from shopfuse.exporters.encoding_run import TextEncoder
from shopfuse.exporters.vector_cache import VectorCache
from shopfuse.ranking.text_heads import CATEGORY_HEAD, HEADS, SENTIMENT_HEAD
from shopfuse.training.head_files import save_heads
from shopfuse.training.label_examples import LabelExamples, category_examples, sentiment_examples
from shopfuse.training.train_text_head import TrainedHead, train_text_head

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
    found = {
        CATEGORY_HEAD: category_examples(workspace.items().select(ITEM_COLUMNS).collect(), seed),
        SENTIMENT_HEAD: sentiment_examples(workspace.reviews().select(REVIEW_COLUMNS).collect(), seed),
    }
    there = {name: examples for name, examples in found.items() if examples is not None}
    texts = [text for examples in there.values() for text in examples.texts]
    if not texts:
        return {}
    beside = VectorCache(cache.folder.parents[1] / CACHE / cache.folder.name, cache.dims)
    vectors, _ = encode_texts(texts, encoder, beside, progress)
    read: dict[str, HeadExamples] = {}
    start = 0
    for name, examples in there.items():
        end = start + len(examples.texts)
        read[name] = HeadExamples(examples, np.array(vectors[start:end], np.float32))
        start = end
    return read


def learn_heads(
    read: Mapping[str, HeadExamples], folder: Path, encoder_sha256: str, seed: int, progress: Progress
) -> dict[str, TrainedHead]:
    """Trained on these examples and saved as checkpoints below `folder`."""
    heads = {
        name: train_text_head(name, one.examples, one.vectors, seed=seed, progress=progress)
        for name, one in read.items()
    }
    save_heads(folder, heads, encoder_sha256)
    return heads


def label_counts(heads: Mapping[str, TrainedHead]) -> dict[str, int]:
    """Head -> how many labels it tells apart."""
    return {name: len(heads[name].labels) for name in HEADS if name in heads}
