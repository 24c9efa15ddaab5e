"""A build's text encoder, and the catalogue's texts through it: those that its cache does not hold are computed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from shopfuse.core.progress import Progress
from shopfuse.datasets.workspace import Workspace
from shopfuse.training.data.catalogue import Catalogue
from shopfuse.training.models.text_encoder import LoadedTextEncoder
from shopfuse_exporters.encoding.coverage import Coverage, measure_coverage
from shopfuse_exporters.encoding.encoder import WorkspaceEncoder, export_text_encoder, open_encoder, real_texts
from shopfuse_exporters.encoding.run import encode_texts
from shopfuse_exporters.models.exporter import ExportedModel, ModelExporter


@dataclass(frozen=True, slots=True)
class EncodedTexts:
    catalogue: Catalogue
    loaded: LoadedTextEncoder
    exported: ExportedModel
    encoder: WorkspaceEncoder
    vectors: NDArray[np.float16]  # [N, text_dim], row-aligned with the catalogue
    computed: int  # of them, those that were not known before
    per_s: float
    coverage: Coverage

    @property
    def meanings(self) -> NDArray[np.float16]:
        """The vectors as the shop is searched by them, [N, text_dim]: zeros, which are absent texts, where the encoder
        does not cover its language."""
        return self.vectors if self.coverage.covers else np.zeros_like(self.vectors)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Of queries, [n, text_dim]; zeros likewise."""
        if self.coverage.covers:
            return self.encoder.encoding.encode(texts)
        return np.zeros((len(texts), self.loaded.text_dim), np.float32)


def encode_catalogue_texts(
    exporter: ModelExporter, workspace: Workspace, catalogue: Catalogue, loaded: LoadedTextEncoder, progress: Progress
) -> EncodedTexts:
    """Raises ExportError or ParityError where the encoder is not what its torch module is."""
    export = partial(export_text_encoder, workspace, loaded, for_gpu=exporter.for_gpu)
    exported = exporter.export_by(export, "text_encoder", loaded.module, real_texts(workspace, loaded))
    with exporter.times.step("encode texts"):
        encoder, texts = open_encoder(workspace, loaded, exported.verified), catalogue.texts()
        started = time.perf_counter()
        vectors, computed = encode_texts(texts, encoder.encoding, encoder.cache, progress)
        seconds = time.perf_counter() - started
    per_s = round(computed / seconds, 1) if computed else 0.0
    with exporter.times.step("encoder coverage"):
        coverage = measure_coverage(catalogue, encoder.tokenizer, encoder.encoding.encode)
    return EncodedTexts(catalogue, loaded, exported, encoder, vectors, computed, per_s, coverage)
