"""The layers of a BERT-type encoder: where they are, and the same encoder with fewer of them.

Any architecture with BERT's module names counts (BERT, RoBERTa, XLM-R, CamemBERT, ELECTRA). It changes no weights.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from torch import nn

from shopfuse.training.compression.errors import CompressionError
from shopfuse.training.models.text_encoder import LoadedTextEncoder, PooledEncoder


def bert_layers(module: nn.Module, source: str) -> nn.ModuleList:
    """The layers of a pooled encoder. Raises CompressionError where they are not built as BERT's are."""
    encoder: Any = module.encoder
    layers = getattr(getattr(encoder, "encoder", None), "layer", None)
    if not isinstance(layers, nn.ModuleList) or not len(layers) or not all(map(_has_ffn, layers)):
        kind = getattr(getattr(encoder, "config", None), "model_type", type(encoder).__name__)
        raise CompressionError(
            f"text encoder {source}: expected a BERT-type encoder, whose layers have a feed-forward network "
            f"(intermediate.dense, output.dense); its architecture is {kind!r}"
        )
    return layers


def _has_ffn(layer: Any) -> bool:
    inner, outer = (getattr(getattr(layer, part, None), "dense", None) for part in ("intermediate", "output"))
    return isinstance(inner, nn.Linear) and isinstance(outer, nn.Linear) and inner.out_features == outer.in_features


def ffn_size(module: nn.Module, source: str) -> int:
    """Neurons of a layer's feed-forward network; every layer has as many."""
    layer: Any = bert_layers(module, source)[0]
    return int(layer.intermediate.dense.out_features)


def evenly(count: int, of: int) -> list[int]:
    """`count` of `of` layers at even distances, ending with the last, whose output is what gets pooled."""
    return [int(place) for place in np.linspace(0, of - 1, count).round()] if count > 1 else [of - 1]


def with_layers(teacher: LoadedTextEncoder, count: int) -> PooledEncoder:
    """A copy of the teacher that keeps `count` of its layers. Raises CompressionError where it has no more."""
    layers = bert_layers(teacher.module, teacher.source)
    if not 1 <= count < len(layers):
        raise CompressionError(
            f"layers: expected 1 to {len(layers) - 1}, fewer than the {len(layers)} of text encoder "
            f"{teacher.source}, got {count}"
        )
    student: Any = copy.deepcopy(teacher.module)
    kept = bert_layers(student, teacher.source)
    student.encoder.encoder.layer = nn.ModuleList([kept[place] for place in evenly(count, len(layers))])
    student.encoder.config.num_hidden_layers = count
    return student  # type: ignore[no-any-return]
