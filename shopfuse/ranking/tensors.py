"""The submodels' tensors, declared once: names, types, axes, tolerances and padding buckets.

config.pbtxt, dummy inputs, warm-up requests, parity checks and the gateway's requests all derive from this table.
The batch axis is implied and always first. An axis given by name is dynamic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shopfuse.ranking.channels import CHANNELS
from shopfuse.ranking.features import CONTEXT_FEATURES, FEATURES
from shopfuse.ranking.user_state import MAX_HISTORY

VECTOR = 128  # the behaviour space: user, query and item vectors
TOKEN = 64  # one modality of one item
D_IMAGE = 128  # of the embedded image encoder; a loaded checkpoint brings its own
IMAGE_SIZE = 64  # pixels a side, likewise
ATTRIBUTES = 16  # hashed attribute ids an item
ATTRIBUTE_BUCKETS = 4096  # id 0 is padding
MODALITIES = ("text", "image", "behaviour")
TASKS = ("click", "cart", "purchase", "relevance")

LENGTH_BUCKETS = (16, 32, 64, 128)
COUNT_BUCKETS = (32, 64, 128, 256, 512)

Arrays = dict[str, NDArray[np.generic]]  # tensors by name
DataType = Literal["FP32", "FP16", "INT64", "UINT8"]
NUMPY_TYPE: dict[DataType, type[np.generic]] = {
    "FP32": np.float32,
    "FP16": np.float16,
    "INT64": np.int64,
    "UINT8": np.uint8,
}


@dataclass(frozen=True, slots=True)
class Tensor:
    name: str
    dtype: DataType
    dims: tuple[int | str, ...]

    def shape(self, batch: int, axes: dict[str, int]) -> tuple[int, ...]:
        """The concrete shape, e.g. shape(2, {"length": 16}) -> (2, 16)."""
        return (batch, *(axes[dim] if isinstance(dim, str) else dim for dim in self.dims))


@dataclass(frozen=True, slots=True)
class Submodel:
    """One ONNX model of the repository.

    `buckets` lists the sizes that callers pad the dynamic axis to. `tolerance` bounds the largest absolute difference
    between torch and the exported model in fp32.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    buckets: dict[str, tuple[int, ...]]
    max_batch: int
    tolerance: float = 1e-4


def submodels(text_dim: int, image_dim: int = D_IMAGE, image_size: int = IMAGE_SIZE) -> dict[str, Submodel]:
    """All submodels for encoders whose embeddings have `text_dim` and `image_dim` numbers; images are squares of
    `image_size` pixels a side."""
    text = Tensor("text_embedding", "FP32", (text_dim,))
    image = Tensor("image_embedding", "FP32", (image_dim,))
    query = Tensor("query_vector", "FP32", (VECTOR,))
    image_vector = Tensor("image_vector", "FP32", (VECTOR,))
    user = Tensor("user_vector", "FP32", (VECTOR,))
    context = Tensor("context", "FP32", (len(CONTEXT_FEATURES),))
    history = (
        Tensor("history_vectors", "FP16", (MAX_HISTORY, VECTOR)),
        Tensor("history_events", "INT64", (MAX_HISTORY,)),
        Tensor("history_gaps", "FP32", (MAX_HISTORY,)),
        Tensor("history_mask", "FP32", (MAX_HISTORY,)),
    )
    models = (
        Submodel(
            "text_encoder",
            (Tensor("input_ids", "INT64", ("length",)), Tensor("attention_mask", "INT64", ("length",))),
            (text,),
            {"length": LENGTH_BUCKETS},
            max_batch=32,
        ),
        Submodel(
            "image_encoder", (Tensor("pixels", "UINT8", (image_size, image_size, 3)),), (image,), {}, max_batch=32
        ),
        Submodel("query_tower", (text,), (query,), {}, max_batch=64),
        Submodel("image_tower", (image,), (image_vector,), {}, max_batch=64),
        Submodel(
            "item_tower",
            (
                text,
                image,
                Tensor("behaviour_embedding", "FP32", (TOKEN,)),
                Tensor("attributes", "INT64", (ATTRIBUTES,)),
                Tensor("presence", "FP32", (len(MODALITIES),)),
            ),
            (
                Tensor("item_vector", "FP32", (VECTOR,)),
                Tensor("item_modality_vectors", "FP32", (len(MODALITIES), TOKEN)),
            ),
            {},
            max_batch=64,
        ),
        Submodel(
            "user_tower",
            (*history, context),
            (user,),
            {},
            max_batch=64,
        ),
        Submodel(
            "fusion_ranker",
            (
                query,
                Tensor("query_present", "FP32", (1,)),
                user,
                Tensor("user_present", "FP32", (1,)),
                context,
                *history,
                Tensor("item_vectors", "FP16", ("candidates", VECTOR)),
                Tensor("modality_vectors", "FP16", ("candidates", len(MODALITIES), TOKEN)),
                Tensor("modality_mask", "FP32", ("candidates", len(MODALITIES))),
                Tensor("channel_scores", "FP32", ("candidates", len(CHANNELS))),
                Tensor("channel_mask", "FP32", ("candidates", len(CHANNELS))),
                Tensor("features", "FP32", ("candidates", len(FEATURES))),
                Tensor("candidate_mask", "FP32", ("candidates",)),
            ),
            (
                Tensor("task_probabilities", "FP32", ("candidates", len(TASKS))),
                Tensor("modality_weights", "FP32", ("candidates", len(MODALITIES))),
            ),
            {"candidates": COUNT_BUCKETS},
            max_batch=16,
        ),
    )
    return {model.name: model for model in models}


def bucket(size: int, buckets: tuple[int, ...]) -> int:
    """The smallest bucket that holds `size`, or the largest where none does."""
    return next((edge for edge in buckets if edge >= size), buckets[-1])


def pad_rows(values: NDArray[np.generic], rows: int) -> NDArray[np.generic]:
    """`values` [n, ...] with zero rows appended up to `rows`; n must not exceed `rows`."""
    padded = np.zeros((rows, *values.shape[1:]), dtype=values.dtype)
    padded[: len(values)] = values
    return padded
