"""The heads on the text encoder: which there are, and their tensors. A release has those that its shop's data allows.

They read the text's embedding and give the probabilities of their labels; what the labels are is in labels.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from shopfuse.ranking.tensors import Submodel, Tensor

CATEGORY_HEAD, SENTIMENT_HEAD = "category_head", "sentiment_head"
OUTPUTS = {CATEGORY_HEAD: "category_probabilities", SENTIMENT_HEAD: "sentiment_probabilities"}
HEADS = tuple(OUTPUTS)
CLASSIFY_TEXT = "classify_text"  # the ensemble of the text encoder and the heads
MAX_BATCH = 64


def text_heads(text_dim: int, labels: Mapping[str, int]) -> dict[str, Submodel]:
    """The declared heads; `labels` is for each head that there is how many labels it tells apart."""
    embedding = Tensor("text_embedding", "FP32", (text_dim,))
    return {
        name: Submodel(name, (embedding,), (Tensor(OUTPUTS[name], "FP32", (labels[name],)),), {}, MAX_BATCH)
        for name in HEADS
        if name in labels
    }
