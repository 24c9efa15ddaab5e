"""Ten-line modules with declared tensors, for tests that need no trained model."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.functional import normalize

from shopfuse.ranking import tensors
from shopfuse.ranking.tensors import Submodel
from shopfuse_exporters.onnx.export import export_submodel

TINY = 8  # of the text embedding

ENCODER = Submodel(
    "text_encoder",
    (tensors.Tensor("input_ids", "INT64", ("length",)), tensors.Tensor("attention_mask", "INT64", ("length",))),
    (tensors.Tensor("text_embedding", "FP32", (TINY,)),),
    {"length": (16, 32)},
    max_batch=8,
)
TOWER = Submodel(
    "query_tower",
    (tensors.Tensor("text_embedding", "FP32", (TINY,)),),
    (tensors.Tensor("query_vector", "FP32", (4,)), tensors.Tensor("other_vector", "FP32", (4,))),
    {},
    max_batch=8,
)


class TinyEncoder(nn.Module):
    """Masked mean of token vectors. `flaw` breaks one of the promises that a served encoder keeps."""

    def __init__(self, flaw: str = "") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokens = nn.Embedding(30522, TINY)  # of MiniLM's vocabulary
        self.flaw = flaw

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        vectors = self.tokens(input_ids)  # [B, L, TINY]
        mask = attention_mask.unsqueeze(-1).to(vectors.dtype)
        if self.flaw == "padding":
            mask = torch.ones_like(mask)
        mean = (vectors * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        if self.flaw == "batch":
            mean = mean - mean.mean(0, keepdim=True)
        return normalize(mean, dim=-1)


class TinyTower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.query, self.other = nn.Linear(TINY, 4), nn.Linear(TINY, 4)

    def forward(self, text_embedding: Tensor) -> tuple[Tensor, Tensor]:
        return self.query(text_embedding), self.other(text_embedding)


def exported(declaration: Submodel, module: nn.Module, folder: Path) -> Path:
    return export_submodel(declaration, module, folder / f"{declaration.name}.onnx")


def poisoned(path: Path, folder: Path, value: float) -> Path:
    """A copy of an exported file with one weight overwritten."""
    model = onnx.load(path)
    weight = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    values = numpy_helper.to_array(weight).copy()
    values.flat[0] = value
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, folder / path.name)
    return folder / path.name
